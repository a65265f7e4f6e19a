//! Coercion of input values (specification, sections 3.5 to 3.12): one walk for the literals of a document and the JSON
//! of variables, which reports every violation with its path.

use std::fmt::{Display, Write};
use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::Value as Literal;
use serde_json::Value as Json;

use super::types::{InputField, InputKind, InputType, InputTypes, ScalarRule};
use super::{ObjectField, Template, Value};
use crate::error::{MAX_TOLD, Violation};

/// Characters of the name of an unknown field that are told.
const MAX_UNKNOWN_NAME: usize = 100;

/// Value before coercion.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// Literal of a document, which may contain variables.
    Literal(&'a Node<Literal>),
    /// Value of a variable.
    Json(&'a Json),
}

/// Coercion of the values of one request or document.
pub(crate) struct Coercion<'a> {
    types: &'a InputTypes,
    /// Names of the operation's variables, by number.
    variables: &'a [Arc<str>],
    /// Path of the value that is being coerced.
    path: String,
    violations: Vec<Violation>,
    /// Number of violations beyond those that are told.
    untold: usize,
}

/// Coerces a default of the schema; `None` if it breaks a rule.
pub(crate) fn coerce_default(
    types: &InputTypes,
    ty: &InputType,
    literal: &Node<Literal>,
) -> Option<Template> {
    let mut coercion = Coercion::new(types, &[]);
    let template = coercion.coerce(ty, Source::Literal(literal));

    coercion.violations.is_empty().then_some(template)
}

impl<'a> Coercion<'a> {
    /// Creates a coercion. `variables` are the names of the variables that literals may contain, by number.
    pub(crate) fn new(types: &'a InputTypes, variables: &'a [Arc<str>]) -> Self {
        Self {
            types,
            variables,
            path: String::new(),
            violations: Vec::new(),
            untold: 0,
        }
    }

    /// Returns the number of violations so far.
    pub(crate) fn count(&self) -> usize {
        self.violations.len() + self.untold
    }

    /// Returns the violations, at most 50, and the number of those beyond.
    pub(crate) fn into_violations(self) -> (Vec<Violation>, usize) {
        (self.violations, self.untold)
    }

    /// Runs a step whose paths begin with `segment`, below the current path.
    pub(crate) fn within<T>(
        &mut self,
        segment: impl Display,
        step: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let length = self.path.len();
        let dot = if length == 0 { "" } else { "." };
        write!(self.path, "{dot}{segment}").expect("a String can always be written to");

        let result = step(self);

        // One buffer for all paths: a path is copied only where a violation is reported.
        self.path.truncate(length);
        result
    }

    /// Reports that the current value breaks a rule.
    pub(crate) fn violation(&mut self, message: impl Into<String>) {
        // A body has room for a hundred thousand violations: those beyond the limit are only counted.
        if self.violations.len() >= MAX_TOLD {
            self.untold += 1;
            return;
        }

        self.violations.push(Violation {
            path: self.path.clone(),
            message: message.into(),
        });
    }

    /// Coerces a value to a type. What breaks a rule is reported and becomes null, so that the walk goes on.
    pub(crate) fn coerce(&mut self, ty: &InputType, source: Source<'_>) -> Template {
        // Validation has compared the types of variables with the places that they stand in (section 5.8.5).
        if let Some(number) = self.variable(source) {
            let nullable = ty.nullable();
            return Template::Variable { number, nullable };
        }

        if source.is_null() {
            if !ty.nullable() {
                self.violation("must not be null");
            }
            return Template::Constant(Value::Null);
        }

        match ty {
            InputType::List { of, .. } => self.list(of, source),
            InputType::Named { number, .. } => self.named(*number, source),
        }
    }

    fn variable(&self, source: Source<'_>) -> Option<usize> {
        let Source::Literal(literal) = source else {
            return None;
        };
        let name = literal.as_variable()?;

        self.variables.iter().position(|known| **known == **name)
    }

    /// Coerces a list. A single value stands for a list of one (section 3.12).
    fn list(&mut self, of: &InputType, source: Source<'_>) -> Template {
        let items: Vec<Template> = match source {
            Source::Literal(literal) => match literal.as_list() {
                Some(items) => self.items(of, items.iter().map(Source::Literal)),
                None => vec![self.coerce(of, source)],
            },
            Source::Json(Json::Array(items)) => self.items(of, items.iter().map(Source::Json)),
            Source::Json(_) => vec![self.coerce(of, source)],
        };

        if items.iter().all(Template::is_constant) {
            let values = items.into_iter().filter_map(Template::into_constant);
            Template::Constant(Value::List(values.collect()))
        } else {
            Template::List(items)
        }
    }

    fn items<'s>(
        &mut self,
        of: &InputType,
        items: impl Iterator<Item = Source<'s>>,
    ) -> Vec<Template> {
        items
            .enumerate()
            .map(|(index, item)| self.within(index, |coercion| coercion.coerce(of, item)))
            .collect()
    }

    fn named(&mut self, number: usize, source: Source<'_>) -> Template {
        let types = self.types;
        let value = match types.get(number) {
            InputKind::Object { one_of, fields } => {
                return self.object(types.name(number), *one_of, fields, source);
            }
            InputKind::Scalar(rule) => match scalar(*rule, source) {
                Ok(value) => Some(value),
                Err(Some(message)) => {
                    self.violation(message);
                    return Template::Constant(Value::Null);
                }
                Err(None) => None,
            },
            InputKind::Int => source
                .integer()
                .filter(|number| i32::try_from(*number).is_ok())
                .map(Value::Int),
            InputKind::Float => source.float().map(Value::Float),
            InputKind::String => source.text().map(|text| Value::String(text.into())),
            InputKind::Boolean => source.boolean().map(Value::Boolean),
            InputKind::Id => source.id().map(|id| Value::String(id.into())),
            InputKind::Enum(names) => source
                .enum_name()
                .and_then(|name| names.iter().find(|known| ***known == *name))
                .map(|name| Value::String(Arc::clone(name))),
        };

        Template::Constant(value.unwrap_or_else(|| {
            self.violation(must_be(types.name(number)));
            Value::Null
        }))
    }

    fn object(
        &mut self,
        name: &str,
        one_of: bool,
        fields: &[InputField],
        source: Source<'_>,
    ) -> Template {
        let Some(given) = source.fields() else {
            self.violation(must_be(name));
            return Template::Constant(Value::Null);
        };

        let values = self.by_field(name, fields, &given);
        if one_of && (given.len() != 1 || given[0].1.is_null()) {
            self.violation("must have exactly one field, which is not null");
            return Template::Constant(Value::Null);
        }

        let bound: Vec<ObjectField> = fields
            .iter()
            .zip(values)
            .filter_map(|(field, value)| self.field(field, one_of, value))
            .collect();

        if bound.iter().all(|field| field.template.is_constant()) {
            let values = bound
                .into_iter()
                .filter_map(|field| Some((field.name, field.template.into_constant()?)));
            Template::Constant(Value::Object(values.collect()))
        } else {
            Template::Object(bound)
        }
    }

    /// Arranges what is given by the fields of the type, and reports what does not fit.
    fn by_field<'s>(
        &mut self,
        name: &str,
        fields: &[InputField],
        given: &[(&'s str, Source<'s>)],
    ) -> Vec<Option<Source<'s>>> {
        let mut values = vec![None; fields.len()];

        for (field, value) in given {
            let message = match fields.iter().position(|known| *known.name == **field) {
                None => format!("is not a field of {name}"),
                // Specification, section 5.6.3. A JSON object cannot get here with a field twice.
                Some(number) if values[number].is_some() => "is given more than once".to_owned(),
                Some(number) => {
                    values[number] = Some(*value);
                    continue;
                }
            };

            self.within(shortened(field), |coercion| coercion.violation(message));
        }

        values
    }

    /// Coerces a field of an input object; `None` if it is absent.
    fn field(
        &mut self,
        field: &InputField,
        one_of: bool,
        given: Option<Source<'_>>,
    ) -> Option<ObjectField> {
        let required = !field.ty.nullable();
        let template = match (given, &field.default) {
            (Some(source), _) => {
                self.within(&field.name, |coercion| coercion.coerce(&field.ty, source))
            }
            (None, Some(default)) => Template::Constant(default.clone()),
            (None, None) => {
                if required {
                    self.within(&field.name, |coercion| coercion.violation("is required"));
                }
                return None;
            }
        };

        // The one field of a oneOf object must have a value that is not null, although its type allows null.
        let template = match template {
            Template::Variable { number, .. } if one_of => Template::Variable {
                number,
                nullable: false,
            },
            other => other,
        };

        Some(ObjectField {
            name: Arc::clone(&field.name),
            template,
            default: field.default.clone(),
            required: required || one_of,
        })
    }
}

/// Returns the beginning of a field's name that the schema does not know, and which may be as long as the request.
fn shortened(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_UNKNOWN_NAME);

    end.map_or(name, |(end, _)| &name[..end])
}

impl Template {
    fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }

    fn into_constant(self) -> Option<Value> {
        match self {
            Self::Constant(value) => Some(value),
            _ => None,
        }
    }
}

impl<'a> Source<'a> {
    fn is_null(self) -> bool {
        match self {
            Self::Literal(literal) => literal.is_null(),
            Self::Json(json) => json.is_null(),
        }
    }

    /// Returns an integer: a literal without a fraction, or a JSON number whose fraction is zero (section 3.5.1).
    fn integer(self) -> Option<i64> {
        match self {
            Self::Literal(literal) => match &**literal {
                Literal::Int(number) => number.as_str().parse().ok(),
                _ => None,
            },
            Self::Json(Json::Number(number)) => {
                let integral = |float: &f64| float.fract() == 0.0 && float.abs() < 9e15;
                let from_float = || number.as_f64().filter(integral).map(|float| float as i64);
                number.as_i64().or_else(from_float)
            }
            Self::Json(_) => None,
        }
    }

    fn float(self) -> Option<f64> {
        let float = match self {
            Self::Literal(literal) => match &**literal {
                Literal::Int(number) => number.try_to_f64().ok(),
                Literal::Float(number) => number.try_to_f64().ok(),
                _ => None,
            },
            Self::Json(json) => json.as_f64(),
        };

        float.filter(|float| float.is_finite())
    }

    fn text(self) -> Option<&'a str> {
        match self {
            Self::Literal(literal) => match &**literal {
                Literal::String(text) => Some(text),
                _ => None,
            },
            Self::Json(json) => json.as_str(),
        }
    }

    fn boolean(self) -> Option<bool> {
        match self {
            Self::Literal(literal) => literal.to_bool(),
            Self::Json(json) => json.as_bool(),
        }
    }

    fn id(self) -> Option<String> {
        match self {
            // The digits as they were written: an id need not fit any number type.
            Self::Literal(literal) => match &**literal {
                Literal::String(text) => Some(text.clone()),
                Literal::Int(number) => Some(number.as_str().to_owned()),
                _ => None,
            },
            Self::Json(Json::String(text)) => Some(text.clone()),
            Self::Json(Json::Number(number)) if number.is_u64() => Some(number.to_string()),
            Self::Json(_) => self.integer().map(|number| number.to_string()),
        }
    }

    fn enum_name(self) -> Option<&'a str> {
        match self {
            Self::Literal(literal) => literal.as_enum().map(|name| name.as_str()),
            Self::Json(json) => json.as_str(),
        }
    }

    fn fields(self) -> Option<Vec<(&'a str, Self)>> {
        match self {
            Self::Literal(literal) => {
                let fields = literal.as_object()?.iter();
                let fields = fields.map(|(name, value)| (name.as_str(), Self::Literal(value)));
                Some(fields.collect())
            }
            Self::Json(json) => {
                let fields = json.as_object()?.iter();
                let fields = fields.map(|(name, value)| (name.as_str(), Self::Json(value)));
                Some(fields.collect())
            }
        }
    }

    /// Returns the value as it is written, for the rule of a custom scalar; `None` for variables and names of enums,
    /// which no scalar can contain.
    fn untyped(self) -> Option<Value> {
        if self.is_null() {
            return Some(Value::Null);
        }
        if let Some(boolean) = self.boolean() {
            return Some(Value::Boolean(boolean));
        }
        if let Some(text) = self.text() {
            return Some(Value::String(text.into()));
        }
        if let Some(number) = self.number() {
            return Some(number);
        }
        if let Some(fields) = self.fields() {
            let fields = fields
                .into_iter()
                .map(|(name, value)| Some((name.into(), value.untyped()?)));
            return fields.collect::<Option<_>>().map(Value::Object);
        }

        let items: Vec<Self> = match self {
            Self::Literal(literal) => literal.as_list()?.iter().map(Source::Literal).collect(),
            Self::Json(json) => json.as_array()?.iter().map(Source::Json).collect(),
        };
        let items = items.into_iter().map(Self::untyped);
        items.collect::<Option<_>>().map(Value::List)
    }

    fn number(self) -> Option<Value> {
        let integer = match self {
            Self::Literal(_) => self.integer(),
            // Not `integer`, which takes 2.0 for 2: whether that is the same is for the scalar's rule to say.
            Self::Json(json) => json.as_i64(),
        };

        integer
            .map(Value::Int)
            .or_else(|| self.float().map(Value::Float))
    }
}

/// Applies the rule of a custom scalar. The error is the rule's message, or `None` for a value that no scalar can have.
fn scalar(rule: ScalarRule, source: Source<'_>) -> Result<Value, Option<&'static str>> {
    let value = source.untyped().ok_or(None)?;
    rule(&value).map_err(|message| (!message.is_empty()).then_some(message))
}

/// Returns the message for a value of another type than `name`, with the article that fits.
fn must_be(name: &str) -> String {
    let article = if name.starts_with(['A', 'E', 'I', 'O', 'U']) {
        "an"
    } else {
        "a"
    };
    format!("must be {article} {name}")
}
