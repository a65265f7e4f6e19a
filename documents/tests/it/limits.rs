//! Limits of a document: each exact, measured without expanding any fragment, and before the parser sees what is deep.

use std::thread;

use documents::{DocumentError, ErrorKind, Limits};

use crate::kit::{describe, documents_with};

const TIGHT: Limits = Limits {
    bytes: 60,
    tokens: 24,
    nesting: 4,
    depth: 3,
    selections: 9,
    root_fields: 3,
    aliases: 2,
    directives: 2,
};

fn plan(text: &str, limits: Limits) -> Result<(), Vec<DocumentError>> {
    documents_with(limits).plan(text, None).map(|_| ())
}

/// Returns the excess of a limit with its place, or "fine" for documents that later steps may still refuse.
fn excess(text: &str, limits: Limits) -> String {
    let Err(errors) = plan(text, limits) else {
        return "fine".to_owned();
    };
    let told = describe(&errors[0]);

    let excess = told.strip_prefix("TooComplex The document has more than ");
    excess.unwrap_or("fine").to_owned()
}

#[test]
fn limits_hold_exactly() {
    let rows = [
        (
            "{a b c}                                                     ",
            "fine",
        ),
        (
            "{a b c}                                                      ",
            "60 bytes []",
        ),
        (
            "{a é}                                                      ",
            "fine",
        ),
        (
            "{a é}                                                       ",
            "60 bytes []",
        ),
        ("{a(x:[1 1 1 1 1 1 1 1 1 1 1 1 1 1 1])}", "fine"),
        (
            "{a(x:[1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1])}",
            "24 tokens [1:40]",
        ),
        ("{a!!!!!!!!!!!!!!!!!!!!!!}", "24 tokens [1:25]"),
        ("{a(x:[[1]])}", "fine"),
        ("{a(x:[[[1]]])}", "4 levels of nested brackets [1:8]"),
        ("{a(x:\"[[[[\")}#[[[[", "fine"),
        ("{a{...{b{c}}}}", "fine"),
        ("{a{b{...{c}}}}", "fine"),
        ("{a{b{c}}}", "fine"),
        ("{a{b{c{d}}}}", "3 levels of fields [1:1]"),
        ("{...F}fragment F on X{...{a{b}}}", "fine"),
        (
            "{...F}fragment F on X{...{a{b{c}}}}",
            "4 levels of fields and fragments [1:1]",
        ),
        ("{a{b b b b b b b b}}", "fine"),
        (
            "{a{b b b b b b b b b}}",
            "9 selections with all fragments expanded []",
        ),
        ("query A{a{b b b}}query B{a{b b b b}}", "fine"),
        (
            "query A{a{b b b}}query B{a{b b b b b}}",
            "9 selections with all fragments expanded []",
        ),
        ("{a b ...F}fragment F on X{a}", "fine"),
        ("{...F ...F}fragment F on X{a b}", "3 root fields [1:1]"),
        ("query A{a}\nquery B{a b c d}", "3 root fields [2:1]"),
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
        ("query Q($a:Int@x)@y{b}", "fine"),
        (
            "query Q($a:Int@x)@y{b@z}",
            "2 directives with all fragments expanded [1:1]",
        ),
        (
            "query Q@x{...@y{b@z}}",
            "2 directives with all fragments expanded [1:1]",
        ),
    ];

    for (text, expected) in rows {
        assert_eq!(excess(text, TIGHT), expected, "{text}");
    }
}

/// Builds fragments that each spread the next one twice: 2^n leaves, and as many spreads twice over on the way.
fn bomb(n: usize) -> String {
    let doubles: String = (0..n)
        .map(|at| format!("fragment F{at} on Query{{...F{0} ...F{0}}}", at + 1))
        .collect();
    format!("{{...F0}}{doubles}fragment F{n} on Query{{__typename}}")
}

#[test]
fn a_bomb_of_fragments_is_measured_without_expanding_it() {
    let deep = Limits {
        nesting: 1_000,
        ..Limits::default()
    };
    // Counted to the last one, and beyond what a number can hold.
    for (n, allowed) in [(3, 3 * (1 << 3) - 1), (8, 3 * (1 << 8) - 1)] {
        let exact = Limits {
            selections: allowed,
            ..deep
        };
        let narrow = Limits {
            selections: allowed - 1,
            ..deep
        };
        assert!(
            plan(&bomb(n), exact).is_err() == (n > 4),
            "20 root fields are allowed"
        );
        let expected = format!("{} selections with all fragments expanded []", allowed - 1);
        assert_eq!(excess(&bomb(n), narrow), expected);
    }

    for n in [20, 40, 62, 63, 64, 100, 300] {
        assert_eq!(
            excess(&bomb(n), deep),
            "2000 selections with all fragments expanded []",
            "n = {n}"
        );
    }
    assert!(excess(&bomb(40), Limits::default()).starts_with("32 levels of fields and fragments"));
}

#[test]
fn chains_of_fragments_are_limited_in_any_order_and_used_or_not() {
    let link = |at: usize| format!("fragment F{at} on Query{{...F{}}}", at + 1);
    let chain = |n: usize, backwards: bool| -> String {
        let last = format!("fragment F{n} on Query{{__typename}}");
        let mut links: Vec<String> = (0..n).map(link).chain([last]).collect();
        if backwards {
            links.reverse();
        }
        links.concat()
    };
    let levels = "levels of fields and fragments";

    for backwards in [false, true] {
        // The last fragment's field is a level of its own, so is the first spread.
        let used =
            |n: usize, limits: Limits| excess(&format!("{{...F0}}{}", chain(n, backwards)), limits);
        assert_eq!(used(30, Limits::default()), "fine");
        assert!(used(31, Limits::default()).contains(levels));
        assert!(used(300, Limits::default()).contains(levels));

        let narrow = Limits {
            nesting: 6,
            ..Limits::default()
        };
        let wide = Limits {
            nesting: 102,
            ..Limits::default()
        };
        assert_eq!(used(4, narrow), "fine");
        assert!(used(5, narrow).starts_with("6 levels"));
        assert_eq!(used(100, wide), "fine");
        assert!(used(101, wide).starts_with("102 levels"));

        let unused = format!("{{__typename}}{}", chain(300, backwards));
        assert!(
            excess(&unused, Limits::default()).contains(levels),
            "{backwards}"
        );
    }
}

/// Runs on a thread with the stack of a server's worker, which texts of these sizes would exhaust in the parser or in a
/// walk of their fragments.
#[test]
fn deep_texts_reach_neither_the_parser_nor_the_end_of_the_stack() {
    let brackets = "32 levels of nested brackets";
    let chain: String = (0..33)
        .map(|at| {
            let open = "...{".repeat(29);
            let close = "}".repeat(29);
            format!("fragment F{at} on Query{{{open}...F{}{close}}}", at + 1)
        })
        .collect();
    let deep = [
        ("{a".repeat(1_900), brackets),
        (
            format!("{{a(x:{}{})}}", "[".repeat(1_900), "]".repeat(1_900)),
            brackets,
        ),
        (format!("query($a:{}", "[".repeat(3_900)), brackets),
        (format!("{{a(x:{}", "{x:".repeat(1_300)), brackets),
        ("{...".repeat(1_900), brackets),
        (chain, "32 levels of fields and fragments"),
    ];

    // Chains have no brackets; with room for more tokens, they would be as deep as they are long.
    let roomy = Limits {
        bytes: 16 << 20,
        tokens: 1_000_000,
        ..Limits::default()
    };
    let long: String = (0..50_000)
        .map(|at| format!("fragment F{at} on Query{{...F{}}}", at + 1))
        .collect();

    let check = move || {
        for (text, expected) in deep {
            let told = excess(&text, Limits::default());
            assert!(told.starts_with(expected), "{told}");
        }
        let told = excess(&long, roomy);
        assert!(
            told.starts_with("32 levels of fields and fragments"),
            "{told}"
        );
    };
    let thread = thread::Builder::new().stack_size(2 << 20).spawn(check);
    thread
        .expect("a thread can be started")
        .join()
        .expect("no text is too deep");
}

#[test]
fn wide_texts_are_no_deeper_than_their_brackets() {
    let wide = [
        format!("{{{}}}", "__typename ".repeat(20)),
        format!("{{item(id:1){{{}}}}}", "id ".repeat(1_900)),
        format!("{{list(numbers:[{}]){{id}}}}", "1 ".repeat(3_900)),
        format!("{{item(id:1){{id{}}}}}", " @include(if:true)".repeat(600)),
        (0..780)
            .map(|at| format!("query Q{at}{{__typename}}"))
            .collect(),
    ];

    let check = move || {
        for text in wide {
            // Whether it is valid is not the question; that it is answered is.
            let _ = plan(&text, Limits::default());
        }
    };
    let thread = thread::Builder::new().stack_size(2 << 20).spawn(check);
    thread
        .expect("a thread can be started")
        .join()
        .expect("no text is too wide");
}

#[test]
fn fragments_are_defined_once_and_do_not_spread_themselves() {
    let rows = [
        (
            "{...F}\nfragment F on Query {...F}",
            "Fragment F spreads itself [2:1]",
        ),
        (
            "{...A} fragment A on Query {...B} fragment B on Query {item(id: 1){...C}} fragment C on Item {...{...B}}",
            "Fragment B spreads itself [1:35]",
        ),
        (
            "{__typename} fragment F on Query {...F}",
            "Fragment F spreads itself [1:14]",
        ),
        (
            "{...F} fragment F on Query {__typename} fragment F on Query {...F}",
            "Fragment F is defined twice [1:41 1:8]",
        ),
        (
            "{...F} fragment F on Query {...F} fragment F on Query {__typename}",
            "Fragment F is defined twice [1:35 1:8]",
        ),
    ];

    for (text, expected) in rows {
        let errors = plan(text, Limits::default()).expect_err(text);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(
            describe(&errors[0]),
            format!("ValidationFailed {expected}"),
            "{text}"
        );
    }
}

#[test]
fn an_open_string_or_comment_hides_no_brackets_from_the_count() {
    let deep = "[".repeat(40);
    let rows = [
        format!("{{a(x:\"open\n{deep}"),
        format!("{{a(x:\"\"\"open {deep}"),
        format!("{{a(x:\"\\\"\n{deep}"),
        format!("{{a#\"\"\"\n(x:{deep}"),
        format!("{{a# \"\r(x:{deep}"),
    ];

    for text in rows {
        let told = excess_or_syntax(&text);
        assert_ne!(told, "fine", "{text}");
    }
    assert_eq!(
        excess(&format!("{{__typename(x:\"{deep}\")}}"), Limits::default()),
        "fine"
    );
    assert_eq!(
        excess(&format!("{{__typename}}#{deep}"), Limits::default()),
        "fine"
    );
}

fn excess_or_syntax(text: &str) -> &'static str {
    match plan(text, Limits::default()) {
        Ok(()) => "fine",
        Err(errors) if errors[0].kind == ErrorKind::TooComplex => "too complex",
        Err(_) => "a syntax error",
    }
}

#[test]
fn the_defaults_admit_the_introspection_query() {
    let text = include_str!("introspection.graphql");
    let shallow = Limits {
        depth: Limits::DEPTH - 1,
        ..Limits::default()
    };

    assert!(plan(text, Limits::default()).is_ok());
    assert_eq!(excess(text, shallow), "14 levels of fields [2:1]");
}
