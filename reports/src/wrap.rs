//! Text in lines of a width.

/// Words of `text` in lines of at most `width` characters; further lines begin with `indent` blanks. Words are
/// broken only if they alone are too long.
pub fn wrap(text: &str, width: usize, indent: usize) -> Vec<String> {
    let room = width.saturating_sub(indent).max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        if !line.is_empty() && used + 1 + rest.len() <= room {
            line.push(' ');
            used += 1;
        } else if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while used + rest.len() > room {
            let tail = rest.split_off(room - used);
            line.extend(rest);
            lines.push(std::mem::take(&mut line));
            (rest, used) = (tail, 0);
        }
        used += rest.len();
        line.extend(rest);
    }
    lines.push(line);
    let blanks = " ".repeat(indent);
    for line in lines.iter_mut().skip(1) {
        line.insert_str(0, &blanks);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_only_endless_ones_break() {
        assert_eq!(wrap("one two three", 9, 2), ["one two", "  three"]);
        assert_eq!(wrap("abcdefgh", 5, 1), ["abcd", " efgh"]);
        assert_eq!(wrap("", 5, 1), [""]);
        assert_eq!(wrap("ab abcdefgh", 5, 1), ["ab", " abcd", " efgh"]);
    }
}
