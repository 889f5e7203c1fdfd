//! YAML and JSON as `kubectl` reads them: the encodings, the documents of a file, and YAML 1.1 as Go's parser has it.
//!
//! Where YAML 1.1 and YAML 1.2 read the same text differently (`no`, `0755`, `1_000`), the value is the one that `kubectl`
//! has, and [`Document::doubts`] says where. A kubeconfig takes the value; a manifest with doubts is refused.

mod documents;
mod encoding;
mod json;
mod resolve;
mod tree;

pub use self::documents::{Document, Repeated, documents};
pub use self::encoding::decode;
pub use self::tree::Doubt;

/// Where a text is wrong, and how. Nothing of the text is in it but names of fields and single words that are no secrets
/// where a manifest is read; whoever reads a kubeconfig shows the line alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct YamlError {
    /// From 1; 0 if it is not known.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl YamlError {
    fn at(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}
