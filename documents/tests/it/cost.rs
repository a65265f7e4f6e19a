//! Cost of a request: the number of fields that its result can have.

use documents::{Cost, Documents, ListSize, OutputType, Schema};
use serde_json::{Value as Json, json};

use crate::kit::{PAGE, documents, request, run};

fn cost(text: &str, variables: Json) -> u64 {
    run(text, variables).expect("the document is valid").cost
}

#[test]
fn fields_outside_of_pages_cost_one_each() {
    let rows = [
        ("{ __typename }", 1),
        ("{ item(id: 1) { id } }", 2),
        ("{ item(id: 1) { id __typename parent { id name } } }", 6),
        (
            "{ item(id: 1) { id id ...F } } fragment F on Item { id name }",
            3,
        ),
        ("{ a: item(id: 1) { id } b: item(id: 2) { id } }", 4),
        ("{ item(id: 1) { id @skip(if: true) } }", 1),
        ("{ item(id: 1) { tags } }", 4),
        ("{ __schema { types { fields { name } } } }", 1),
    ];

    for (text, expected) in rows {
        assert_eq!(cost(text, json!({})), expected, "{text}");
    }
}

#[test]
fn a_value_of_several_types_costs_as_its_most_expensive_one() {
    let rows = [
        ("{ thing(id: 1) { __typename } }", 2),
        (
            "{ thing(id: 1) { ... on Item { id name price } ... on Shelf { id } } }",
            4,
        ),
        (
            "{ thing(id: 1) { ... on Item { id } ... on Shelf { id near { id } } } }",
            4,
        ),
        ("{ node(id: 1) { id ... on Item { tags } } }", 5),
    ];

    for (text, expected) in rows {
        assert_eq!(cost(text, json!({})), expected, "{text}");
    }
}

#[test]
fn pages_cost_what_they_may_hold() {
    let items = |arguments: &str| format!("{{ shelf{arguments} {{ id items {{ id name }} }} }}");
    let with = |page: u64| 2 + 3 * page;
    let rows = [
        ("", with(20)),
        ("(first: 0)", with(0)),
        ("(first: 1)", with(1)),
        ("(first: 100)", with(100)),
        ("(first: 101)", with(100)),
        ("(first: 2147483647)", with(100)),
        ("(first: -1)", with(20)),
        ("(first: null)", with(20)),
        ("(last: 7)", with(7)),
        ("(first: 3, last: 7)", with(3)),
        ("(last: 7, first: null)", with(7)),
    ];

    for (arguments, expected) in rows {
        assert_eq!(cost(&items(arguments), json!({})), expected, "{arguments}");
    }
}

#[test]
fn the_size_of_a_page_may_be_a_variable() {
    let text = "query($n: Int = 4) { shelf(first: $n) { items { id } } }";
    let rows = [
        (json!({}), 1 + 2 * 4),
        (json!({ "n": 9 }), 1 + 2 * 9),
        (json!({ "n": 9.0 }), 1 + 2 * 9),
        (json!({ "n": null }), 1 + 2 * 20),
        (json!({ "n": 1_000_000 }), 1 + 2 * 100),
    ];

    for (variables, expected) in rows {
        assert_eq!(cost(text, variables.clone()), expected, "{variables}");
    }

    let text = "query($n: Int) { shelf(first: $n) { items { id } } }";
    assert_eq!(cost(text, json!({})), 1 + 2 * 20);
}

#[test]
fn pages_within_pages_count_as_the_largest() {
    let text = "{ shelf(first: 2) { near { ... on Shelf { items { id } } } best { ... on Shelf { items { id tags } } } } }";

    // Both lists are on the shelf itself, so both follow the page; tags are at most three.
    assert_eq!(cost(text, json!({})), 1 + (1 + 2 * 2) + (1 + (2 + 3) * 2));
    assert_eq!(
        cost(
            "{ shelf(first: 2) { items { tags parent { tags } } } }",
            json!({})
        ),
        1 + 2 * (1 + 3 + 1 + 3)
    );
}

#[test]
fn lists_within_a_page_multiply() {
    let page = Cost {
        fixed: 2,
        per_item: 5,
    };

    assert_eq!(page.with_page(0), 2);
    assert_eq!(page.with_page(10), 52);
    assert_eq!(page.with_page(u64::MAX), u64::MAX);
}

/// A schema in which an entry of a page has a page, and a page argument has a default.
fn library() -> Documents {
    struct Book;
    struct Author(Vec<Book>);
    documents::object!(Book as "Book", |_book| { "title" => *"t", "words" => Vec::<String>::new() });
    documents::object!(Author as "Author", |author| { "books" => author.0, "all" => author.0, "peers" => Vec::<Author>::new() });

    let sdl = "type Book { title: String! words: [String!]! } type Author { books: [Book!]! all: [Book!]! peers: [Author!]! }
        type Query { authors(first: Int = 3): Author! plain: [Book!]! }";
    let lists = [
        ("Book", "words", ListSize::AtMost(50)),
        ("Author", "books", ListSize::Page),
        ("Author", "all", ListSize::AtMost(10)),
        ("Author", "peers", ListSize::Page),
    ];
    let outputs = [OutputType::of::<Book>(), OutputType::of::<Author>()];
    let schema = Schema::new(sdl, &[], outputs, &lists, PAGE).expect("the schema is sound");

    Documents::new(std::sync::Arc::new(schema), documents::Limits::default())
}

#[test]
fn nested_pages_lists_and_defaults_of_arguments() {
    let library = library();
    let rows = [
        ("{ authors { books { title } } }", 1 + 2 * 3),
        ("{ authors(first: 7) { books { title } } }", 1 + 2 * 7),
        (
            "{ authors { peers { books { title } } } }",
            1 + (1 + 2 * 100) * 3,
        ),
        (
            "{ authors { peers { all { title words } } } }",
            1 + (1 + 10 * (2 + 50)) * 3,
        ),
        ("{ authors { all { words } } }", 1 + 10 * 51),
        // A root list without a size is a page of the largest size.
        ("{ plain { title } }", 2 * 100),
    ];

    for (text, expected) in rows {
        let request = request(&library, text, json!({}));
        assert_eq!(request.cost(library.schema()), expected, "{text}");
    }
}

#[test]
fn a_selection_knows_its_own_cost() {
    let documents = documents();
    let request = request(&documents, "{ shelf { id items { id name } } }", json!({}));

    let expected = Cost {
        fixed: 1,
        per_item: 3,
    };
    assert_eq!(request.roots()[0].selection().cost(), expected);
}
