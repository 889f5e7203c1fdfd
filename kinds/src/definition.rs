//! What a kind of task must say of itself, and the same with the types taken out of it.

use card_core::engine::KnownKind;
use card_core::ids::UserId;
use card_core::problem::{Code, FieldError};
use card_core::settings;
use card_core::tasks::{Effect, Kind};
use rand::rngs::StdRng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::issuer_client::InvalidIssuer;
use crate::object::Object;
use crate::step::Handler;

/// A kind of task. Implemented once, in the kind's own file, and registered in `kinds.rs`.
pub trait TaskKind: 'static {
    /// Its name on the wire.
    const KIND: Kind;
    /// What a task of it does, as one sentence that begins with a verb: for the API, `--help` and docs/reference/kinds.md.
    const SUMMARY: &'static str;
    /// What it is asked with. A JSON object; its schema describes every field.
    type Payload: Serialize + DeserializeOwned + ToSchema;
    /// What a success answers: the task's `result`.
    type Output: Serialize + DeserializeOwned + ToSchema;

    /// Whether it is done for somebody: then only users can ask for it.
    const IS_OWNED: bool = false;
    /// Whether an owner can have only one that is not final.
    const EXCLUSIVE: Option<Exclusive> = None;
    /// Whether each success leaves an effect: then [`TaskKind::effect`] gives it.
    const HAS_EFFECT: bool = false;
    /// Whether its effects are their owner's alone, and go when the owner is deleted.
    const GOES_WITH_OWNER: bool = false;
    /// Codes of its errors, each with what a task's owner is told of it. What the handler says besides is for operators.
    const ERRORS: &'static [(&'static str, &'static str)] = &[];

    /// What of a payload is not acceptable although its type takes it, by JSON pointer.
    ///
    /// # Errors
    /// Every field that is wrong.
    fn check(_payload: &Self::Payload) -> Result<(), Vec<FieldError>> {
        Ok(())
    }

    /// What a success leaves behind, applied in the transaction that settles the task.
    fn effect(_output: &Self::Output) -> Option<Effect> {
        None
    }

    /// A payload such as users send, for `submit`, load tests and fuzzing; the same for the same randomness.
    fn sample(random: &mut StdRng) -> Self::Payload;

    /// What does its tasks.
    ///
    /// # Errors
    /// The settings do not say what it needs.
    fn handler(settings: &settings::Worker) -> Result<Box<dyn Handler>, InvalidIssuer>;
}

/// An owner can have only one open task of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exclusive {
    /// The problem of a second one: its own, or [`Code::TaskOpen`].
    pub problem: Code,
    /// What the task is called in the sentence that says so.
    pub noun: &'static str,
}

/// Why a payload is not one.
#[derive(Debug)]
pub enum PayloadError {
    /// It is not JSON of the payload's shape.
    Shape(serde_path_to_error::Error<serde_json::Error>),
    /// The shape is right, and what it says is not acceptable.
    Content(Vec<FieldError>),
    /// It can't be written again: a defect.
    Unwritable(serde_json::Error),
}

impl std::fmt::Display for PayloadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape(error) => write!(f, "{error}"),
            Self::Content(errors) => {
                let errors: Vec<_> = errors.iter().map(|error| format!("{} {}", error.pointer, error.detail)).collect();
                f.write_str(&errors.join("; "))
            }
            Self::Unwritable(error) => write!(f, "{error}"),
        }
    }
}

/// A kind, as whoever handles many of them sees it.
#[derive(Clone, Copy)]
pub struct Definition {
    /// Stands in ledgers instead of the name.
    pub code: u8,
    /// Its name.
    pub kind: Kind,
    /// See [`TaskKind::SUMMARY`].
    pub summary: &'static str,
    /// See [`TaskKind::IS_OWNED`].
    pub is_owned: bool,
    /// See [`TaskKind::EXCLUSIVE`].
    pub exclusive: Option<Exclusive>,
    /// See [`TaskKind::HAS_EFFECT`].
    pub has_effect: bool,
    /// See [`TaskKind::GOES_WITH_OWNER`].
    pub goes_with_owner: bool,
    /// See [`TaskKind::ERRORS`].
    pub errors: &'static [(&'static str, &'static str)],
    read: fn(&[u8]) -> Result<Box<RawValue>, PayloadError>,
    sample: fn(&mut StdRng) -> Option<Box<RawValue>>,
    handler: fn(&settings::Worker) -> Result<Box<dyn Handler>, InvalidIssuer>,
    payload_schema: fn(&mut Schemas) -> RefOr<Schema>,
    output_schema: fn(&mut Schemas) -> RefOr<Schema>,
}

/// Schemas by name, as an OpenAPI document collects them.
pub type Schemas = Vec<(String, RefOr<Schema>)>;

impl Definition {
    /// A kind under a code. Kinds of the product have a line in `kinds.rs`; tests bring others.
    #[must_use]
    pub const fn of<K: TaskKind>(code: u8) -> Self {
        Self {
            code,
            kind: K::KIND,
            summary: K::SUMMARY,
            is_owned: K::IS_OWNED,
            exclusive: K::EXCLUSIVE,
            has_effect: K::HAS_EFFECT,
            goes_with_owner: K::GOES_WITH_OWNER,
            errors: K::ERRORS,
            read: read::<K>,
            sample: |random| serde_json::value::to_raw_value(&K::sample(random)).ok(),
            handler: K::handler,
            payload_schema: schema::<K::Payload>,
            output_schema: schema::<K::Output>,
        }
    }

    /// What a ledger has to know of it.
    #[must_use]
    pub const fn known(&self) -> KnownKind {
        KnownKind { code: self.code, kind: self.kind, has_effect: self.has_effect }
    }

    /// A payload as tasks carry it: checked, and written anew, so that one spelling is in the ledger and nothing between
    /// the lines.
    ///
    /// # Errors
    /// It is none of this kind.
    pub fn read(&self, payload: &[u8]) -> Result<Box<RawValue>, PayloadError> {
        (self.read)(payload)
    }

    /// The key that keeps an owner from having a second open task of the kind.
    #[must_use]
    pub fn exclusive_key(&self, owner: Option<UserId>) -> Option<String> {
        self.exclusive.and(owner).map(|owner| format!("{}:{owner}", self.kind))
    }

    /// A payload such as users send.
    #[must_use]
    pub fn sample(&self, random: &mut StdRng) -> Box<RawValue> {
        // A sample that can't be written is a defect, which the tests of every kind find.
        (self.sample)(random).unwrap_or_default()
    }

    /// What does its tasks.
    ///
    /// # Errors
    /// The settings do not say what it needs.
    pub fn handler(&self, settings: &settings::Worker) -> Result<Box<dyn Handler>, InvalidIssuer> {
        (self.handler)(settings)
    }

    /// The payload's schema; `others` get those that it refers to.
    pub fn payload_schema(&self, others: &mut Schemas) -> RefOr<Schema> {
        (self.payload_schema)(others)
    }

    /// The result's schema; `others` get those that it refers to.
    pub fn output_schema(&self, others: &mut Schemas) -> RefOr<Schema> {
        (self.output_schema)(others)
    }
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}", self.code, self.kind)
    }
}

fn read<K: TaskKind>(payload: &[u8]) -> Result<Box<RawValue>, PayloadError> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let Object(payload): Object<K::Payload> =
        serde_path_to_error::deserialize(&mut json).map_err(PayloadError::Shape)?;
    K::check(&payload).map_err(PayloadError::Content)?;
    serde_json::value::to_raw_value(&payload).map_err(PayloadError::Unwritable)
}

fn schema<T: ToSchema>(others: &mut Schemas) -> RefOr<Schema> {
    T::schemas(others);
    T::schema()
}
