use longhaul_scenarios::{load, source::Source};
#[test]
fn slow() {
    let n = 16 << 20;
    for piece in ["'", "''", "\"", "{", "}", "/*", "/", "r#", "r#\"", "b'", "b\"", "x,", "x ", "1a", "\\", "(", "[", ")", "[]", "\"\\", "é", "a:1,", "\n", "\"a\\q", "§"] {
        for head in ["", "(", "Scenario(a: [", "Scenario(version: 1, regions: [(name: \"a\", "] {
            let t = std::time::Instant::now();
            let text = format!("{head}{}", piece.repeat((n - head.len()) / piece.len()));
            let e = load(&Source { name: "x".into(), text, base_dir: "".into() }, &[], None).unwrap_err();
            let r = e.render(true).len();
            if t.elapsed().as_millis() > 300 { println!("{piece:?} {head:?} {:?} {} {r}", t.elapsed(), e.items().len()); }
        }
    }
    for item in ["(name: \"a\"),", "(name: 1, name: 2, zzz: 3),", "(between: (\"a\", \"b\"), rtt: \"1 ms\"),"] {
      for list in ["regions", "links", "vms", "migrations"] {
        let t = std::time::Instant::now();
        let text = format!("Scenario(version: 1, {list}: [{}])", item.repeat(3900));
        let e = load(&Source { name: "x".into(), text, base_dir: "".into() }, &[], None).unwrap_err();
        println!("{list} {item:?} {:?} {}", t.elapsed(), e.items().len());
      }
    }
    // large valid: 1000 regions in a line, 1000 vms, 1000 migrations, chain
    let mut text = String::from("Scenario(version: 1, name: \"x\", question: \"q\", expect: \"e\", horizon: \"10 h\", sample_interval: \"1 h\", regions: [");
    for i in 0..1000 { text += &format!("(name: \"r{i}\"),"); }
    text += "], links: [";
    for i in 0..3999 { let a = i % 1000; let b = (a + 1 + (i / 1000) * 37) % 1000; text += &format!("(between: (\"r{a}\", \"r{b}\"), rtt: \"{} ms\", rate: \"1 Gbit/s\"),", 1 + i % 7); }
    text += "], vms: [";
    for i in 0..1000 { text += &format!("(name: \"v{i}\", region: \"r{i}\", memory: Generated(pattern: Constant, size: \"4 KiB\")),"); }
    text += "], migrations: [";
    for i in 0..1000 { text += &format!("(name: \"m{i}\", vm: \"v{i}\", to: \"r{}\" {}),", (i + 500) % 1000, if i > 0 { format!(", start: After(migration: \"m{}\")", i - 1) } else { String::new() }); }
    text += "])";
    let t = std::time::Instant::now();
    let r = load(&Source { name: "x".into(), text, base_dir: "".into() }, &[], None);
    match r { Ok(l) => println!("ok {:?} {}", t.elapsed(), l.warnings.items().len()), Err(e) => println!("err {:?} {}", t.elapsed(), &e.render(false)[..500]) }
}
