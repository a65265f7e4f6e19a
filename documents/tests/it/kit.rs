//! A small shop as the schema of these tests, and a way to run a document against it.

use std::sync::Arc;

use documents::{
    Arguments, DocumentError, Documents, ErrorKind, Limits, ListSize, Out, OutputType, PageRule,
    Render, Request, RootKind, Schema, Selection, Value, object,
};
use serde_json::{Value as Json, to_string};

/// Page sizes of the shop.
pub(crate) const PAGE: PageRule = PageRule {
    arguments: &["first", "last"],
    default: 20,
    most: 100,
    exceptions: &[],
};

pub(crate) const SDL: &str = r#"
    interface Node { id: ID! }
    scalar Price
    type Item implements Node { id: ID!, name: String!, price: Price!, tags: [String!]!, parent: Item }
    type Shelf implements Node { id: ID!, items: [Item!]!, best: Thing, near: Node! }
    union Thing = Item | Shelf
    enum Color { RED GREEN }
    input Size @oneOf { small: Int, large: Float }
    input ItemInput {
      id: ID, name: String! = "none", price: Price, color: Color, sizes: [Size!], flag: Boolean, ratio: Float,
      grid: [[Int]], tags: [String], child: ItemInput, inner: Inner
    }
    input Inner { must: Int!, held: Int! = 5 }
    type Query {
      item(id: ID!, color: Color! = RED): Item
      node(id: ID!): Node
      thing(id: ID!): Thing
      shelf(first: Int, last: Int, input: ItemInput): Shelf
      needed(fail: Boolean): Item!
      list(numbers: [Int!]! = [1], flags: [Boolean!], tags: [String], colors: [Color!], size: Size, inner: Inner = {must: 3}): Item
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
    "best" => shelf.0.first().map(|item| Thing::Item(Item { id: item.id.clone(), ..*item })),
    "near" => Thing::Shelf(Shelf(Vec::new())),
});

/// Value of an interface or a union.
enum Thing {
    Item(Item),
    Shelf(Shelf),
}

impl Render for Thing {
    fn render(&self, selection: &Selection, out: &mut Out<'_>) {
        match self {
            Self::Item(item) => item.render(selection, out),
            Self::Shelf(shelf) => shelf.render(selection, out),
        }
    }
}

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
    Documents::new(Arc::new(schema()), limits)
}

pub(crate) fn schema() -> Schema {
    let lists = [
        ("Item", "tags", ListSize::AtMost(3)),
        ("Shelf", "items", ListSize::Page),
    ];
    let outputs = [OutputType::of::<Item>(), OutputType::of::<Shelf>()];
    let schema = Schema::new(SDL, &[("Price", whole_number)], outputs, &lists, PAGE);

    schema.expect("the schema fits its renderers")
}

/// Rule of the scalar `Price`.
pub(crate) fn whole_number(value: &Value) -> Result<Value, &'static str> {
    match value {
        Value::Int(number) => Ok(Value::Int(*number)),
        Value::Float(number) if number.fract() == 0.0 => Ok(Value::Int(*number as i64)),
        _ => Err("must be a whole number"),
    }
}

/// Returns the data of a valid document.
pub(crate) fn data(text: &str, variables: Json) -> String {
    run(text, variables).expect("the document is valid").data
}

/// Returns the root fields that a valid document calls, with their arguments.
pub(crate) fn calls(text: &str, variables: Json) -> Vec<String> {
    run(text, variables).expect("the document is valid").calls
}

/// Returns the errors of an invalid document, each as its kind, message and places.
pub(crate) fn errors(text: &str, variables: Json) -> Vec<String> {
    let Err(errors) = run(text, variables) else {
        panic!("the document is valid: {text}");
    };
    errors.iter().map(describe).collect()
}

/// Returns an error as its kind, message and places.
pub(crate) fn describe(error: &DocumentError) -> String {
    let places: Vec<String> = error
        .locations
        .iter()
        .map(|place| format!("{}:{}", place.line, place.column))
        .collect();
    format!("{:?} {error} [{}]", error.kind, places.join(" "))
}

/// Returns the violations of a document whose input values are invalid, each as its path and message.
pub(crate) fn violations(text: &str, variables: Json) -> Vec<String> {
    let Err(errors) = run(text, variables) else {
        panic!("the document is valid: {text}");
    };
    assert_eq!(errors[0].kind, ErrorKind::BadInput, "{errors:?}");

    let violations = errors[0].violations.iter();
    violations
        .map(|violation| format!("{} {}", violation.path, violation.message))
        .collect()
}

/// Binds variables to the only operation of a valid document.
pub(crate) fn request(documents: &Documents, text: &str, variables: Json) -> Request {
    let planned = documents.plan(text, None).expect("the document is valid");
    let variables = variables.as_object().cloned().unwrap_or_default();
    let request = planned.plan.bind(documents.schema(), &variables);

    request.expect("the variables are valid")
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
    let planned = documents.plan(text, operation)?;
    let variables = variables.as_object().cloned().unwrap_or_default();
    let request = planned
        .plan
        .bind(documents.schema(), &variables)
        .map_err(|error| vec![error])?;

    Ok(execute(&documents, &request))
}

/// Executes the root fields one after the other. A field that fails is null.
pub(crate) fn execute(documents: &Documents, request: &Request) -> Outcome {
    let schema = documents.schema();
    let mut out = Out::new(1 << 20, None);
    let mut calls = Vec::new();

    out.json(b"{");
    for (index, root) in request.roots().iter().enumerate() {
        if index > 0 {
            out.json(b",");
        }
        out.json(root.json_key().as_bytes());

        match (root.kind(), request.arguments(root)) {
            (_, Err(error)) => {
                calls.push(format!("{} failed: {error}", root.field()));
                out.json(b"null");
            }
            (RootKind::TypeName(name), Ok(_)) => out.string(name),
            (RootKind::Introspection, Ok(_)) => {
                let introspected = request.introspect(schema);
                out.json(introspected.json(root.response_key()));
            }
            (RootKind::Field, Ok(arguments)) => {
                let given = to_string(&arguments).expect("arguments are JSON");
                calls.push(format!("{} {given}", root.field()));
                resolve(root.field(), &arguments).render(root.selection(), &mut out);
            }
        }
    }
    out.json(b"}");

    Outcome {
        data: String::from_utf8(out.finish().expect("the result is small")).expect("it is UTF-8"),
        calls,
        cost: request.cost(schema),
    }
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
        "node" | "thing" if by_id.id.as_deref() == Some("shelf") => {
            Box::new(Thing::Shelf(Shelf(vec![item("1")])))
        }
        "node" | "thing" => Box::new(Thing::Item(item(by_id.id.as_deref().unwrap_or("new")))),
        _ => Box::new(item(by_id.id.as_deref().unwrap_or("new"))),
    }
}
