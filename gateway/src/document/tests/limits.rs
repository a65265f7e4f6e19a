//! Tests of limits, syntax errors and the graph of fragments.

use super::*;

const INTROSPECTION: &str = include_str!("introspection.graphql");

#[test]
fn limits_admit_the_introspection_query() {
    let parsed = parsed(INTROSPECTION);
    assert_eq!(parsed.operation(None).unwrap().ty(), OperationType::Query);
    let tight = DocumentLimits {
        tokens: 200,
        ..DocumentLimits::default()
    };
    assert!(parse(INTROSPECTION, &tight).is_ok());
    let Cost {
        depth,
        nesting,
        selections,
        directives,
        aliases,
        root_fields,
    } = parsed.cost();
    assert_eq!(
        (depth, root_fields, aliases, directives),
        (DocumentLimits::DEPTH, 1, 0, 0)
    );
    assert!(
        nesting <= DocumentLimits::NESTING && selections < DocumentLimits::SELECTIONS / 4,
        "{selections}"
    );
}

#[test]
fn cost_counts_what_fragments_expand_to() {
    let text = "query Q($v: Int @d) @d { a { ...F @d } b: a { ... @d { ...F } } }
        fragment F on A @d { x: id c { id @d } ...G } fragment G on A { y: id }";
    let expected = Cost {
        selections: 2 * (1 + 1 + 5) + 1,
        root_fields: 2,
        aliases: 5,
        directives: 8,
        depth: 3,
        nesting: 5,
    };
    assert_eq!(parsed(text).cost(), expected);
}

#[test]
fn cost_adds_operations_up() {
    let Cost {
        selections, depth, ..
    } = parsed("query A { a { b } } query B { a }").cost();
    assert_eq!((selections, depth), (3, 2));
}

/// Documents at a limit ("fine") and just over it, with the limit that is exceeded and the position of the excess.
const AT_THE_LIMITS: &[(&str, &str)] = &[
    (
        "{a b c}                                                     ",
        "fine",
    ),
    (
        "{a b c}                                                      ",
        "60 bytes []",
    ),
    ("{a!!!!!!!!!!!!!!!!!!!!!!}", "24 tokens [1:25]"),
    ("{a(x:[[1]])}", "fine"),
    ("{a(x:[[[1]]])}", "4 levels of nested brackets [1:8]"),
    ("{a{...{b{c}}}}", "fine"),
    ("{a{b{...{c}}}}", "fine"),
    ("{a{b{c{d}}}}", "3 levels of fields [1:1]"),
    (
        "{...F}fragment F on X{...{a{b{c}}}}",
        "4 levels of fields and fragments [1:1]",
    ),
    ("{a{b b b b b b b b}}", "fine"),
    (
        "{a{b b b b b b b b b}}",
        "9 selections with all fragments expanded []",
    ),
    (
        "query A{a{b b b}}query B{a{b b b b b}}",
        "9 selections with all fragments expanded []",
    ),
    ("{...F ...F}fragment F on X{a b}", "3 root fields [1:1]"),
    ("{a:b ...F}fragment F on X{c:b}", "fine"),
    (
        "{...F x{...F}}fragment F on X{a:b c:b}",
        "2 aliases with all fragments expanded [1:1]",
    ),
    ("{a@x ...F}fragment F on X@y{b}", "fine"),
    (
        "{a@x ...F@z}fragment F on X@y{b}",
        "2 directives with all fragments expanded [1:1]",
    ),
];

#[test]
fn limits_hold_exactly() {
    let tight = DocumentLimits {
        bytes: 60,
        tokens: 24,
        nesting: 4,
        depth: 3,
        selections: 9,
        root_fields: 3,
        aliases: 2,
        directives: 2,
    };

    for (text, excess) in AT_THE_LIMITS {
        let expected = match *excess {
            "fine" => "fine".to_owned(),
            excess => format!("QUERY_TOO_COMPLEX The document has more than {excess}"),
        };
        assert_eq!(describe(parse(text, &tight)), expected, "{text}");
    }
}

#[test]
fn syntax_errors_have_a_position() {
    let rows = [
        (
            "",
            "GRAPHQL_PARSE_FAILED Syntax error: expected executable_definition [1:1]",
        ),
        (
            "{ a(x: ) }",
            "GRAPHQL_PARSE_FAILED Syntax error: expected value [1:8]",
        ),
        ("{\n  a\n", "[3:1]"),
        ("{ a(x: \"\\ud800\") }", "GRAPHQL_PARSE_FAILED"),
        ("{ a(x: 1.) }", "GRAPHQL_PARSE_FAILED"),
        ("type A { b: Int }", "GRAPHQL_PARSE_FAILED"),
    ];
    for (text, expected) in rows {
        let described = describe(parse(text, &DocumentLimits::default()));
        assert!(
            described.contains(expected) && described.starts_with("GRAPHQL_PARSE_FAILED"),
            "{text}: {described}"
        );
    }
}

#[test]
fn fragments_must_be_defined_once_and_not_spread_themselves() {
    let invalid = |text: &str| {
        let described = describe(parse(text, &DocumentLimits::default()));
        described
            .strip_prefix("GRAPHQL_VALIDATION_FAILED ")
            .unwrap_or_else(|| panic!("{text}: {described}"))
            .to_owned()
    };
    let only = "An anonymous operation must be the only operation of its document [1:5 1:1]";
    assert_eq!(invalid("{a} {b}"), only);
    assert_eq!(
        invalid("query A{a} query A{b}"),
        "Operation A is defined twice [1:12 1:1]"
    );
    let twice = "Fragment F is defined twice [1:26 1:5]";
    assert_eq!(
        invalid("{a} fragment F on X {a}  fragment F on X {a}"),
        twice
    );
    assert_eq!(
        invalid("fragment F on X {a}"),
        "The document has no operation []"
    );
    assert_eq!(invalid("{a{...F}}"), "Fragment F is not defined [1:4]");
    assert_eq!(
        invalid("{a} fragment F on X { b { ...G } }"),
        "Fragment G is not defined [1:27]"
    );
    assert_eq!(
        invalid("{...F}\nfragment F on X {a ...F}"),
        "Fragment F spreads itself [2:1]"
    );
    let through =
        "{...A} fragment A on X {...B} fragment B on X {c{...C}} fragment C on X {...{...B}}";
    assert_eq!(invalid(through), "Fragment B spreads itself [1:31]");
    assert_eq!(
        invalid("{a} fragment F on X {...F}"),
        "Fragment F spreads itself [1:5]"
    );
}

/// Builds `n` fragments, each spreading the next one twice: 2^n leaves, and as many spreads again twice over on the way.
fn bomb(n: usize) -> String {
    let doubles: String = (0..n)
        .map(|at| format!("fragment F{at} on X{{...F{0} ...F{0}}}", at + 1))
        .collect();
    format!("{{...F0}}{doubles}fragment F{n} on X{{__typename}}")
}

#[test]
fn cost_of_a_fragment_bomb_is_measured_without_expanding_it() {
    for n in [4, 40, 100] {
        let document = parse_query(bomb(n)).unwrap();
        let order = fragments::leaves_first(&document).unwrap();
        let costs = cost::measure(&document, &order);
        let expanded = if n < 62 {
            3 * (1_usize << n) - 1
        } else {
            usize::MAX
        };
        assert_eq!(costs.total().selections, expanded, "n = {n}");
        assert_eq!(costs.selections_visited, 2 * n + 2, "n = {n}");
    }
    let limits = DocumentLimits {
        nesting: 1_000,
        ..DocumentLimits::default()
    };
    let rejection = "QUERY_TOO_COMPLEX The document has more than 2000 selections with all fragments expanded []";
    assert_eq!(describe(parse(&bomb(40), &limits)), rejection);
    assert_eq!(
        describe(parse(&bomb(40), &DocumentLimits::default())),
        rejection
    );
}

/// Rejects texts of which the second keeps to the limit of tokens and overflows a stack of 2 MiB if the parser sees it.
#[test]
fn limits_keep_deep_nesting_from_the_parser() {
    let deep = [
        "{a".repeat(1_900),
        format!("{{a(x:{}{})}}", "[".repeat(1_900), "]".repeat(1_900)),
        format!("query($a:{}", "[".repeat(3_900)),
        format!("{{a(x:{}", "{x:".repeat(1_300)),
        "{...".repeat(1_900),
    ];
    for text in deep {
        let described = describe(parse(&text, &DocumentLimits::default()));
        assert!(
            described
                .starts_with("QUERY_TOO_COMPLEX The document has more than 32 levels of nested"),
            "{described}"
        );
    }
    let chain: String = (0..300)
        .map(|at| format!("fragment F{at} on X{{...F{}}}", at + 1))
        .collect();
    let described = describe(parse(
        &format!("{{...F0}}{chain}fragment F300 on X{{a}}"),
        &DocumentLimits::default(),
    ));
    assert!(
        described
            .starts_with("QUERY_TOO_COMPLEX The document has more than 32 levels of fields and"),
        "{described}"
    );
}

/// Pieces of text that are legal somewhere in a document.
const PIECES: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "$",
    "@",
    "!",
    "=",
    "...",
    " ",
    "on ",
    "on\n",
    "query ",
    "fragment ",
    "a",
    "F ",
    "1",
    "-",
    ".5",
    "e9",
    "\"",
    "\"\"\"",
    "\\",
    "\\u12",
    "#",
    "\n",
    "\r",
    "é",
    "\u{feff}",
    "true",
    "null",
    "subscription{a}",
    "fragment F on\nX{a}",
    "...F",
    "{a(x:{y:[1 $z]})}",
];

/// Joins pieces at random: most results are rejected, none may panic or hang.
#[test]
fn parsing_never_panics_on_scrambled_documents() {
    let mut state = 0x2545_f491_u64;
    let mut fine = 0;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..(state >> 7) % 14 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text += PIECES[(state >> 33) as usize % PIECES.len()];
        }
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let Ok(parsed) = parse(&text, &DocumentLimits::default()) else {
            continue;
        };
        fine += 1;
        let _ = parsed
            .operation(None)
            .and_then(|operation| operation.shape());
    }
    assert!(fine > 50, "hardly any document parsed: {fine}");
}
