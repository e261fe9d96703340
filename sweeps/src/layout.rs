//! Rows for a terminal: as a table if that can be read at its width, else one after the other.

use std::collections::BTreeMap;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use longhaul_reports::human;
use longhaul_reports::wrap::wrap;

/// Blanks before what is said of a row, where rows stand one after the other.
const INDENT: usize = 4;

/// Rows under a head, in at most `width` columns. The first `keys` cells say which row it is. A table in which words would be
/// broken, or most cells take more than two lines, becomes a paragraph for each row.
pub fn rows(head: &[&str], rows: &[Vec<String>], keys: usize, width: u16) -> String {
    let head: Vec<String> = head.iter().map(|cell| human::printable(cell)).collect();
    let cells = |row: &Vec<String>| row.iter().map(|cell| human::printable(cell)).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let text = table(&head, &rows, width);
    let whole = words(rows.iter().chain([&head]).flatten().map(String::as_str)) == words([text.as_str()]);
    if whole && text.lines().count() <= 2 * (rows.len() + 1) {
        return text;
    }
    rows.iter()
        .map(|row| paragraph(&head, row, keys, width.into()))
        .collect()
}

fn table(head: &[String], rows: &[Vec<String>], width: u16) -> String {
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(head)
        .add_rows(rows);
    for index in 1..head.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.trim_fmt();
    lines.lines().map(|line| format!("{line}\n")).collect()
}

/// How often each word stands in texts.
fn words<'t>(texts: impl IntoIterator<Item = &'t str>) -> BTreeMap<&'t str, usize> {
    let mut count = BTreeMap::new();
    for word in texts.into_iter().flat_map(str::split_whitespace) {
        *count.entry(word).or_insert(0) += 1;
    }
    count
}

/// A row by itself: which it is, and below that each other cell behind its head. A cell is divided only if it alone is too long.
fn paragraph(head: &[String], row: &[String], keys: usize, width: usize) -> String {
    let keys = keys.min(row.len());
    let mut lines = wrap(&row[..keys].join(", "), width, INDENT);
    let blanks = " ".repeat(INDENT);
    let mut line = String::new();
    for (head, cell) in head.iter().zip(row).skip(keys) {
        let item = format!("{head}: {cell}");
        let length = |text: &str| text.chars().count();
        if line.is_empty() {
            line = format!("{blanks}{item}");
        } else if length(&line) + 2 + length(&item) <= width {
            line.push_str("; ");
            line.push_str(&item);
        } else {
            lines.append(&mut wrapped(&line, width));
            line = format!("{blanks}{item}");
        }
    }
    lines.append(&mut wrapped(&line, width));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A line that begins with blanks, in several if it is too long.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let text = line.trim_start();
    if text.is_empty() {
        return Vec::new();
    }
    // Further lines are indented already.
    let mut lines = wrap(text, width, INDENT);
    lines[0].insert_str(0, &" ".repeat(INDENT));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(width: u16) -> String {
        let row = |place: &str| {
            let cells = [
                place,
                "time",
                "121 ms",
                "133 ms",
                "12.1 ms ± 3.01 ms (+10.0 %)",
                "different",
            ];
            cells.map(str::to_owned).to_vec()
        };
        let head = ["point", "metric", "a", "b", "b − a", "within the margin"];
        rows(&head, &[row("10 ms, 1"), row("20 ms, 1")], 2, width)
    }

    #[test]
    fn what_fits_is_a_table() {
        let text = example(100);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.trim_start().starts_with("point"), "{text}");
    }

    #[test]
    fn no_word_is_broken_at_any_width() {
        for width in 20..120 {
            let text = example(width);
            for word in ["different", "(+10.0", "metric", "time"] {
                let word = if text.trim_start().starts_with("point") || word != "metric" {
                    word
                } else {
                    "10 ms, 1, time"
                };
                assert!(text.contains(word), "{width}: {word}\n{text}");
            }
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width.into()), "{width}:\n{text}");
        }
        assert_eq!(
            example(60).lines().take(3).collect::<Vec<_>>(),
            [
                "10 ms, 1, time",
                "    a: 121 ms; b: 133 ms; b − a: 12.1 ms ± 3.01 ms (+10.0 %)",
                "    within the margin: different",
            ]
        );
    }
}
