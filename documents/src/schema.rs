//! The schema that documents are compiled against: its definitions, the rules of its scalars, the fields that renderers
//! write, and the sizes of its lists.

mod input;

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{InputValueDefinition, OperationType};
use apollo_compiler::collections::HashMap as ApolloMap;
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::Valid;

use crate::out::Object;
use crate::values::{InputField, InputTypes, ScalarRule};

/// Output type with a renderer: its name and the fields that the renderer writes, in the order of its table.
#[derive(Clone, Debug)]
pub struct OutputType {
    name: &'static str,
    fields: Vec<&'static str>,
}

impl OutputType {
    /// Returns the type that renderer `T` writes.
    pub fn of<T: Object>() -> Self {
        Self {
            name: T::NAME,
            fields: T::FIELDS.iter().map(|(name, _)| *name).collect(),
        }
    }
}

/// Number of entries that a list can have, by which its selection is weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListSize {
    /// As many entries as the page that the root field was asked for.
    Page,
    /// No more than this many entries.
    AtMost(u64),
}

/// Arguments of root fields that give the size of a page.
#[derive(Clone, Copy, Debug)]
pub struct PageRule {
    /// Names of the arguments; the first one that has a value decides.
    pub arguments: &'static [&'static str],
    /// Size of a page if none of them has a value.
    pub default: u64,
    /// Largest size of a page.
    pub most: u64,
    /// Root fields whose pages have another default and another largest size.
    pub exceptions: &'static [(&'static str, PageSize)],
}

/// Sizes of the pages of one root field.
#[derive(Clone, Copy, Debug)]
pub struct PageSize {
    /// Size of a page if no argument gives one.
    pub default: u64,
    /// Largest size of a page.
    pub most: u64,
}

impl PageRule {
    /// Returns the sizes of a root field's pages.
    pub(crate) fn of(&self, field: &str) -> PageSize {
        let exception = self.exceptions.iter().find(|(name, _)| *name == field);

        exception.map_or(
            PageSize {
                default: self.default,
                most: self.most,
            },
            |(_, size)| *size,
        )
    }
}

/// A schema that documents can be compiled against.
pub struct Schema {
    definitions: Valid<apollo_compiler::Schema>,
    implementers: ApolloMap<Name, Implementers>,
    inputs: InputTypes,
    outputs: HashMap<&'static str, OutputType>,
    lists: HashMap<(&'static str, &'static str), ListSize>,
    page: PageRule,
}

/// Reason why a schema cannot be built: its parts contradict one another.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The text is not a valid schema.
    #[error("The schema is invalid: {0}")]
    Invalid(String),
    /// A type has no renderer, or its renderer writes other fields than the schema declares.
    #[error("The renderers do not fit the schema: {0}")]
    Renderers(String),
    /// A scalar has no rule, a default breaks one, a list has no size, or a root type has an unusual name.
    #[error("The rules do not fit the schema: {0}")]
    Rules(String),
}

impl Schema {
    /// Builds a schema from its text in the schema definition language. Every custom scalar needs a rule, every object
    /// type below the roots a renderer that writes exactly its fields, and every list below the roots a size.
    ///
    /// # Errors
    /// [`SchemaError`] names the first part that does not fit.
    pub fn new(
        sdl: &str,
        scalars: &[(&'static str, ScalarRule)],
        outputs: impl IntoIterator<Item = OutputType>,
        lists: &[(&'static str, &'static str, ListSize)],
        page: PageRule,
    ) -> Result<Self, SchemaError> {
        let definitions = apollo_compiler::Schema::parse_and_validate(sdl, "schema.graphql")
            .map_err(|partial| SchemaError::Invalid(partial.errors.to_string()))?;

        let schema = Self {
            implementers: definitions.implementers_map(),
            inputs: input::types(&definitions, scalars)?,
            outputs: outputs
                .into_iter()
                .map(|output| (output.name, output))
                .collect(),
            lists: lists
                .iter()
                .map(|(ty, field, size)| ((*ty, *field), *size))
                .collect(),
            page,
            definitions,
        };

        schema.check_roots()?;
        schema.check_arguments()?;
        schema.check_outputs()?;
        Ok(schema)
    }

    pub(crate) fn definitions(&self) -> &Valid<apollo_compiler::Schema> {
        &self.definitions
    }

    pub(crate) fn implementers(&self) -> &ApolloMap<Name, Implementers> {
        &self.implementers
    }

    pub(crate) fn inputs(&self) -> &InputTypes {
        &self.inputs
    }

    /// Returns an argument with its default.
    ///
    /// # Errors
    /// [`SchemaError::Rules`] for a default that breaks a rule.
    pub(crate) fn input_field(
        &self,
        definition: &InputValueDefinition,
    ) -> Result<InputField, SchemaError> {
        input::field(&self.inputs, definition)
    }

    pub(crate) fn page(&self) -> PageRule {
        self.page
    }

    /// Returns the name of a type as its renderer has it, and the number of a field in the renderer's table.
    pub(crate) fn output(&self, ty: &str) -> Option<&OutputType> {
        self.outputs.get(ty)
    }

    /// Returns the names of the object types that a value of this composite type can have.
    pub(crate) fn possible_types(&self, ty: &str) -> Vec<Name> {
        match self.definitions.types.get(ty) {
            Some(ExtendedType::Object(object)) => vec![object.name.clone()],
            Some(ExtendedType::Interface(_)) => {
                let implementers = self.implementers.get(ty);
                let mut objects: Vec<Name> = implementers
                    .map(|implementers| implementers.objects.iter().cloned().collect())
                    .unwrap_or_default();
                // Their order would otherwise differ from process to process, and with it the keys of selections.
                objects.sort();
                objects
            }
            Some(ExtendedType::Union(union)) => union
                .members
                .iter()
                .map(|member| (**member).clone())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Returns whether the fields of a fragment with this type condition apply to objects of a type (specification,
    /// section 6.3.2, DoesFragmentTypeApply).
    pub(crate) fn applies(&self, condition: &str, object: &str) -> bool {
        condition == object || self.definitions.is_subtype(condition, object)
    }

    /// Returns the size of a list field; lists without one hold at most a page of the largest size.
    pub(crate) fn list_size(&self, ty: &str, field: &str) -> ListSize {
        let found = self.lists.get(&(ty, field));
        found.copied().unwrap_or(ListSize::AtMost(self.page.most))
    }

    /// Returns the root types, each with the name that a result gives for `__typename`.
    fn roots(&self) -> impl Iterator<Item = (&Name, &'static str)> {
        let usual = [
            (OperationType::Query, "Query"),
            (OperationType::Mutation, "Mutation"),
            (OperationType::Subscription, "Subscription"),
        ];

        usual
            .into_iter()
            .filter_map(|(ty, name)| Some((self.definitions.root_operation(ty)?, name)))
    }

    fn is_root(&self, name: &str) -> bool {
        self.roots().any(|(root, _)| root == name)
    }

    fn check_roots(&self) -> Result<(), SchemaError> {
        match self.roots().find(|(root, usual)| root != usual) {
            Some((root, usual)) => Err(SchemaError::Rules(format!(
                "the root type {root} is not called {usual}"
            ))),
            None => Ok(()),
        }
    }

    /// Checks the arguments of root fields, so that compilation of a plan meets no default that breaks a rule.
    fn check_arguments(&self) -> Result<(), SchemaError> {
        let objects = self.definitions.types.values();
        let roots = objects
            .filter_map(|ty| ty.as_object())
            .filter(|object| self.is_root(&object.name));
        let fields = roots.flat_map(|root| root.fields.values());

        for argument in fields.flat_map(|field| &field.arguments) {
            self.input_field(argument)?;
        }
        Ok(())
    }

    fn check_outputs(&self) -> Result<(), SchemaError> {
        for (name, ty) in &self.definitions.types {
            let ExtendedType::Object(object) = ty else {
                continue;
            };
            if ty.is_built_in() || self.is_root(name) {
                continue;
            }

            let declared: Vec<&str> = object.fields.keys().map(Name::as_str).collect();
            let output = self.outputs.get(name.as_str());
            let rendered = output
                .map(|output| output.fields.as_slice())
                .unwrap_or_default();
            if declared != rendered {
                let message =
                    format!("{name} has the fields {declared:?}, written are {rendered:?}");
                return Err(SchemaError::Renderers(message));
            }

            for field in object.fields.values() {
                // Whatever a root returns is rendered without further arguments, so none may be declared.
                if !field.arguments.is_empty() {
                    let message = format!("{name}.{} takes arguments", field.name);
                    return Err(SchemaError::Renderers(message));
                }
                if field.ty.is_list()
                    && !self
                        .lists
                        .keys()
                        .any(|key| *key == (name.as_str(), field.name.as_str()))
                {
                    let message = format!("the list {name}.{} has no size", field.name);
                    return Err(SchemaError::Rules(message));
                }
            }
        }

        match self
            .outputs
            .keys()
            .find(|name| !self.definitions.types.contains_key(**name))
        {
            Some(unknown) => Err(SchemaError::Renderers(format!(
                "there is no type {unknown}"
            ))),
            None => Ok(()),
        }
    }
}

impl OutputType {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the number of a field in the renderer's table.
    pub(crate) fn number(&self, field: &str) -> Option<u16> {
        let number = self.fields.iter().position(|name| *name == field)?;
        u16::try_from(number).ok()
    }
}
