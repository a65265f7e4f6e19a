//! Input types in the form that coercion reads: by number instead of by name, with defaults coerced once.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::ast::Type;

use super::Value;

/// Rule of a custom scalar: returns the coerced value, or the message for a value that breaks the rule, to follow its
/// path.
pub type ScalarRule = fn(&Value) -> Result<Value, &'static str>;

/// Type of an input value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InputType {
    /// A named type.
    Named {
        /// Number of the type in [`InputTypes`].
        number: usize,
        /// True if null is a value of the type.
        nullable: bool,
    },
    /// A list.
    List {
        /// Type of the items.
        of: Box<InputType>,
        /// True if null is a value of the type.
        nullable: bool,
    },
}

/// Kind of a named input type.
pub(crate) enum InputKind {
    /// 32-bit integer (specification, section 3.5.1).
    Int,
    /// Finite number of double precision (3.5.2).
    Float,
    /// Text (3.5.3).
    String,
    /// Truth value (3.5.4).
    Boolean,
    /// Text or integer, kept as text (3.5.5).
    Id,
    /// Scalar with a rule of its own.
    Scalar(ScalarRule),
    /// Names of the values.
    Enum(Vec<Arc<str>>),
    /// Input object.
    Object {
        /// True if exactly one field must be given (3.10.1).
        one_of: bool,
        /// Fields in the order of the schema.
        fields: Vec<InputField>,
    },
}

/// Field of an input object, or argument of a root field.
#[derive(Clone, Debug)]
pub(crate) struct InputField {
    /// Name as documents write it.
    pub(crate) name: Arc<str>,
    /// Type of the value.
    pub(crate) ty: InputType,
    /// Value if none is given.
    pub(crate) default: Option<Value>,
}

/// All named input types of a schema.
pub(crate) struct InputTypes {
    numbers: HashMap<String, usize>,
    kinds: Vec<InputKind>,
    names: Vec<String>,
}

impl InputType {
    /// Returns whether null is a value of the type.
    pub(crate) fn nullable(&self) -> bool {
        match self {
            Self::Named { nullable, .. } | Self::List { nullable, .. } => *nullable,
        }
    }
}

impl InputTypes {
    /// Numbers types by their names. All are input objects without fields until they are set.
    pub(crate) fn new(names: Vec<String>) -> Self {
        let kinds = names.iter().map(|_| InputKind::Object {
            one_of: false,
            fields: Vec::new(),
        });

        Self {
            kinds: kinds.collect(),
            numbers: names.iter().cloned().zip(0..).collect(),
            names,
        }
    }

    /// Returns the kind of a named type.
    pub(crate) fn get(&self, number: usize) -> &InputKind {
        &self.kinds[number]
    }

    /// Sets the kind of a named type.
    pub(crate) fn set(&mut self, number: usize, kind: InputKind) {
        self.kinds[number] = kind;
    }

    /// Returns the fields of an input object; none for another type.
    pub(crate) fn fields_mut(&mut self, number: usize) -> &mut [InputField] {
        match &mut self.kinds[number] {
            InputKind::Object { fields, .. } => fields,
            _ => &mut [],
        }
    }

    /// Returns the number of types.
    pub(crate) fn count(&self) -> usize {
        self.kinds.len()
    }

    /// Returns the name of a type.
    pub(crate) fn name(&self, number: usize) -> &str {
        &self.names[number]
    }

    /// Returns a type as a document or the schema writes it; `None` if a name in it does not have an input type.
    pub(crate) fn resolve(&self, ty: &Type) -> Option<InputType> {
        let named = |name: &str, nullable| {
            let number = *self.numbers.get(name)?;
            Some(InputType::Named { number, nullable })
        };
        let list = |of: &Type, nullable| {
            let of = Box::new(self.resolve(of)?);
            Some(InputType::List { of, nullable })
        };

        match ty {
            Type::Named(name) => named(name, true),
            Type::NonNullNamed(name) => named(name, false),
            Type::List(of) => list(of, true),
            Type::NonNullList(of) => list(of, false),
        }
    }
}
