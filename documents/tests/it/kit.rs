//! A small shop as the schema of these tests, and a way to run a document against it.

use std::sync::Arc;

use documents::{
    Arguments, DocumentError, Documents, Limits, ListSize, Out, OutputType, PageRule, Render,
    RootKind, Schema, Value, object,
};
use serde_json::{Value as Json, to_string};

const SDL: &str = r#"
    interface Node { id: ID! }
    scalar Price
    type Item implements Node { id: ID!, name: String!, price: Price!, tags: [String!]!, parent: Item }
    type Shelf implements Node { id: ID!, items: [Item!]! }
    enum Color { RED GREEN }
    input Size @oneOf { small: Int, large: Float }
    input ItemInput { id: ID, name: String! = "none", price: Price, color: Color, sizes: [Size!], flag: Boolean }
    type Query {
      item(id: ID!, color: Color! = RED): Item
      node(id: ID!): Node
      shelf(first: Int, input: ItemInput): Shelf
      needed(fail: Boolean): Item!
    }
    type Mutation { write(input: ItemInput!, note: String): Item! }
    type Subscription { changed(after: String): Item! }
"#;

pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) price: i64,
}

object!(Item as "Item", |item| {
    "id" => item.id,
    "name" => *"a \"name\"",
    "price" => item.price,
    "tags" => vec!["x".to_owned(), "y".to_owned()],
    "parent" => None::<Item>,
});

pub(crate) struct Shelf(Vec<Item>);

object!(Shelf as "Shelf", |shelf| {
    "id" => *"shelf",
    "items" => shelf.0,
});

/// Outcome of a document: its data as JSON text, and the root fields that were called with their arguments.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) data: String,
    pub(crate) calls: Vec<String>,
    pub(crate) cost: u64,
}

pub(crate) fn documents() -> Documents {
    documents_with(Limits::default())
}

pub(crate) fn documents_with(limits: Limits) -> Documents {
    let price = |value: &Value| match value {
        Value::Int(number) => Ok(Value::Int(*number)),
        Value::Float(number) if number.fract() == 0.0 => Ok(Value::Int(*number as i64)),
        _ => Err("must be a whole number"),
    };
    let page = PageRule {
        arguments: &["first"],
        default: 20,
        most: 100,
    };
    let lists = [
        ("Item", "tags", ListSize::AtMost(3)),
        ("Shelf", "items", ListSize::Page),
    ];
    let outputs = [OutputType::of::<Item>(), OutputType::of::<Shelf>()];
    let schema = Schema::new(SDL, &[("Price", price)], outputs, &lists, page);

    Documents::new(
        Arc::new(schema.expect("the schema fits its renderers")),
        limits,
    )
}

/// Runs the document's only operation.
pub(crate) fn run(text: &str, variables: Json) -> Result<Outcome, Vec<DocumentError>> {
    run_operation(text, None, variables)
}

pub(crate) fn run_operation(
    text: &str,
    operation: Option<&str>,
    variables: Json,
) -> Result<Outcome, Vec<DocumentError>> {
    let documents = documents();
    let schema = documents.schema();
    let planned = documents.plan(text, operation)?;
    let variables = variables.as_object().cloned().unwrap_or_default();
    let request = planned
        .plan
        .bind(schema, &variables)
        .map_err(|error| vec![error])?;

    let mut out = Out::new(1 << 20, None);
    let mut calls = Vec::new();
    out.json(b"{");
    for (index, root) in request.roots().iter().enumerate() {
        if index > 0 {
            out.json(b",");
        }
        out.json(root.json_key().as_bytes());
        match root.kind() {
            RootKind::TypeName(name) => out.string(name),
            RootKind::Introspection => {
                let introspected = request.introspect(schema);
                out.json(introspected.json(root.response_key()));
            }
            RootKind::Field => match request.arguments(root) {
                Ok(arguments) => {
                    let given = to_string(&arguments).expect("arguments are JSON");
                    calls.push(format!("{} {given}", root.field()));
                    resolve(root.field(), &arguments).render(root.selection(), &mut out);
                }
                Err(error) => {
                    calls.push(format!("{} failed: {error}", root.field()));
                    out.json(b"null");
                }
            },
        }
    }
    out.json(b"}");

    Ok(Outcome {
        data: String::from_utf8(out.finish().expect("the result is small")).expect("it is UTF-8"),
        calls,
        cost: request.cost(schema),
    })
}

fn resolve(field: &str, arguments: &Arguments) -> Box<dyn Render> {
    #[derive(serde::Deserialize)]
    struct ById {
        #[serde(default)]
        id: Option<String>,
    }

    let by_id: ById = arguments.read().expect("every field of this schema fits");
    let item = |id: &str| Item {
        id: id.to_owned(),
        price: 7,
    };
    match field {
        "shelf" => Box::new(Shelf(vec![item("1"), item("2")])),
        "node" if by_id.id.as_deref() == Some("shelf") => Box::new(Shelf(vec![item("1")])),
        _ => Box::new(item(by_id.id.as_deref().unwrap_or("new"))),
    }
}
