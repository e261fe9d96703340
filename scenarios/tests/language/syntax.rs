//! The reader of RON: agreement with the `ron` crate, and steadiness on anything else.

use proptest::prelude::*;

use longhaul_scenarios::diagnose::{MOST_DIAGNOSTICS, Sink};
use longhaul_scenarios::library;
use longhaul_scenarios::syntax::{Kind, MOST_VALUES, NESTING_LIMIT, Node, parse};

use crate::{FULL, read};

/// What the `ron` crate makes of the same text.
fn value(node: &Node) -> ron::Value {
    let sequence = |items: &[Node]| ron::Value::Seq(items.iter().map(value).collect());
    match &node.kind {
        Kind::Bool(truth) => ron::Value::Bool(*truth),
        Kind::Number(number) => ron::from_str(number).expect("a number"),
        Kind::Text(text) => ron::Value::String(text.clone()),
        Kind::Word(word) if word == "None" => ron::Value::Option(None),
        Kind::Word(_) => ron::Value::Unit,
        Kind::Tuple(None, items) if items.is_empty() => ron::Value::Unit,
        Kind::List(items) | Kind::Tuple(_, items) => sequence(items),
        Kind::Struct(_, fields) => {
            let pairs = fields
                .iter()
                .map(|field| (ron::Value::String(field.name.text.clone()), value(&field.value)));
            ron::Value::Map(pairs.collect())
        }
    }
}

fn tree(text: &str) -> Option<Node> {
    parse(text, 0, 0, &mut Sink::default())
}

fn agrees_with_ron(text: &str) {
    let ours = tree(text).unwrap_or_else(|| panic!("refused: {text}"));
    assert_eq!(
        value(&ours),
        ron::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
        "{text}"
    );
}

/// RON texts with everything that scenarios use.
fn ron_text() -> impl Strategy<Value = String> {
    let space = || {
        prop::sample::select(vec![
            "",
            " ",
            "\n\t",
            " // a remark (\n",
            "/* a /* nested */ remark */",
        ])
    };
    let name = || "[A-Z][a-z]{1,3}";
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("None".to_owned()),
        name(),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,4}\\.[0-9]{1,3}",
        "[1-9][0-9]{0,2}(_[0-9]{3}){0,2}",
        any::<String>().prop_map(|text| format!("{text:?}").replace("\\u{0}", "\\0")),
        "[a-z\\\\ ]{0,5}".prop_map(|text| format!("r#\"{text}\"#")),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let items = prop::collection::vec((space(), inner.clone(), space()), 1..4);
        let items = (items, any::<bool>()).prop_map(|(items, trailing)| {
            let items: Vec<String> = items
                .into_iter()
                .map(|(before, item, after)| format!("{before}{item}{after}"))
                .collect();
            format!("{}{}", items.join(","), if trailing { "," } else { "" })
        });
        let fields = prop::collection::btree_map("[a-z]{2,4}", (space(), inner), 1..4);
        let fields = fields.prop_map(|fields| {
            let fields: Vec<String> = fields
                .into_iter()
                .map(|(name, (space, item))| format!("{name}{space}:{space}{item}"))
                .collect();
            fields.join(", ")
        });
        prop_oneof![
            items.clone().prop_map(|items| format!("[{items}]")),
            (name(), items).prop_map(|(name, items)| format!("{name}({items})")),
            fields.clone().prop_map(|fields| format!("({fields})")),
            (name(), fields).prop_map(|(name, fields)| format!("{name}({fields})")),
        ]
    })
}

#[test]
fn scenarios_and_their_canonical_texts_read_as_the_ron_crate_reads_them() {
    for text in library::list().iter().map(|entry| entry.text).chain([FULL]) {
        agrees_with_ron(text);
        agrees_with_ron(&read(text).unwrap().canonical);
    }
}

#[test]
fn a_scenario_cut_off_anywhere_is_refused() {
    for entry in library::list() {
        let text = entry.text.trim_end();
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(read(&text[..end]).is_err(), "{} cut at byte {end}", entry.name);
        }
    }
}

#[test]
fn nesting_values_and_messages_have_limits() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(tree(&nested(NESTING_LIMIT as usize)).is_some());
    assert!(tree(&nested(NESTING_LIMIT as usize + 1)).is_none());
    assert!(tree(&"(".repeat(1_000_000)).is_none());
    assert!(tree(&format!("[{}]", "1,".repeat(MOST_VALUES as usize))).is_none());
    let errors = read(&"{ ] a: ".repeat(100_000)).expect_err("refused");
    assert!(errors.items().len() <= MOST_DIAGNOSTICS && errors.render(false).len() < 100_000);
    let errors = read(&format!("({}: {}", "a".repeat(100_000), "1b".repeat(100_000))).expect_err("refused");
    assert!(errors.render(false).len() < 2_000);
}

#[test]
fn a_list_with_many_mistakes_takes_no_more_than_a_moment() {
    let many = format!("regions: [{}", "(name: \"x\", nam: 1),".repeat(999));
    let text = FULL.replacen("regions: [", &many, 1);
    let errors = read(&text).expect_err("refused");
    assert_eq!(errors.items().len(), MOST_DIAGNOSTICS);
    assert!(errors.render(false).trim_end().ends_with("more"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_ron_reads_reads_the_same_here(text in ron_text()) {
        agrees_with_ron(&text);
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>(), ron in "[\\[\\](){}:,\"'/*#rb\\\\ \n0-9a-e.+-]{0,60}") {
        for text in [text, ron] {
            if let Err(errors) = read(&text) {
                prop_assert!(!errors.render(true).is_empty());
            }
        }
    }

    #[test]
    fn a_scenario_with_a_few_bytes_changed_never_panics(
        at in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"()[]{}:,\"'/*\\x0%-.Aa \n".to_vec())), 1..6),
    ) {
        let mut bytes = FULL.as_bytes().to_vec();
        for (index, byte) in at {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Err(errors) = read(&String::from_utf8(bytes).unwrap()) {
            prop_assert!(!errors.render(false).is_empty());
        }
    }
}
