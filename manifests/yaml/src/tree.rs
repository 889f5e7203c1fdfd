//! The nodes of one document, and what they are as JSON.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use granit_parser::{Event, Options, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value};

use crate::YamlError;
use crate::documents::Repeated;
use crate::resolve::{as_core_schema, as_kubectl};

/// Deeper than this is no configuration.
const DEEPEST: usize = 200;
/// So many nodes may a document have, those of its aliases counted each time: ten lines can ask for billions.
const MOST: usize = 2_000_000;

/// A word that YAML 1.1 and YAML 1.2 read differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// From 1, in the whole text.
    pub line: usize,
    /// Such as `no`.
    pub word: String,
}

#[derive(Debug, Clone)]
struct Node {
    line: usize,
    tag: Option<Kind>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Scalar { text: String, is_plain: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// What a tag asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
    Switch,
    Integer,
    Float,
    Null,
}

/// The first document of a text, with what is in doubt; None if there is nothing in it. `first` is the number of the text's
/// first line.
pub(crate) fn read(
    text: &str,
    first: usize,
    repeated: Repeated,
) -> Result<Option<(usize, Value, Vec<Doubt>)>, YamlError> {
    let mut tree =
        Tree { parser: Parser::new_from_str_with_options(text, options()), first, anchors: HashMap::new(), left: MOST };
    let Some(node) = tree.document()? else { return Ok(None) };
    let mut reading = Reading { repeated, doubts: Vec::new() };
    let value = reading.value(&node)?;
    Ok(Some((node.line, value, reading.doubts)))
}

fn options() -> Options {
    let mut options = Options::default();
    options.flow_nesting_limit = DEEPEST;
    options.block_nesting_limit = DEEPEST;
    options
}

struct Tree<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    first: usize,
    anchors: HashMap<usize, (Node, usize)>,
    left: usize,
}

impl<'a> Tree<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, usize)>, YamlError> {
        loop {
            match self.parser.next_event() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..) | Event::Anchor(..), _))) => {}
                Some(Ok((event, span))) => return Ok(Some((event, self.first + span.start.line().max(1) - 1))),
                Some(Err(error)) => {
                    return Err(YamlError::at(self.first + error.marker().line().max(1) - 1, error.info()));
                }
            }
        }
    }

    fn document(&mut self) -> Result<Option<Node>, YamlError> {
        let mut found = None;
        while let Some((event, line)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd | Event::StreamEnd => {}
                // A document that is nothing may come before; kubectl looks at the first alone.
                _ if found.is_some() => {
                    let message = "kubectl ignores what comes after the end of a document; begin it with a line ---";
                    return Err(YamlError::at(line, message));
                }
                event => found = Some(self.node(event, line, 0)?.0),
            }
        }
        Ok(found)
    }

    /// A node and how many there are in it.
    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<(Node, usize), YamlError> {
        if depth > DEEPEST {
            return Err(YamlError::at(line, format!("this is nested deeper than {DEEPEST}")));
        }
        let (what, tag, anchor, size) = match event {
            Event::Alias(id) => {
                let known = self.anchors.get(&id).cloned();
                let (node, size) = known.ok_or_else(|| YamlError::at(line, "an alias of what it is in itself"))?;
                self.count(size, line)?;
                return Ok((node, size));
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                (What::Scalar { text: text.into_owned(), is_plain }, tag, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let (mut items, mut size) = (Vec::new(), 1);
                while let Some((event, line)) = self.inside(&Event::SequenceEnd)? {
                    let (item, of) = self.node(event, line, depth + 1)?;
                    size += of;
                    items.push(item);
                }
                (What::Sequence(items), tag, anchor, size)
            }
            Event::MappingStart(_, anchor, tag) => {
                let (mut fields, mut size) = (Vec::new(), 1);
                while let Some((event, line)) = self.inside(&Event::MappingEnd)? {
                    let (key, of_key) = self.node(event, line, depth + 1)?;
                    let (event, line) =
                        self.inside(&Event::MappingEnd)?.ok_or_else(|| YamlError::at(line, "a key alone"))?;
                    let (value, of_value) = self.node(event, line, depth + 1)?;
                    size += of_key + of_value;
                    fields.push((key, value));
                }
                (What::Mapping(fields), tag, anchor, size)
            }
            _ => return Err(YamlError::at(line, "this can't be read")),
        };
        self.count(1, line)?;
        let tag = tag.and_then(|tag| kind(&tag, &what));
        let node = Node { line, tag, what };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok((node, size))
    }

    fn inside(&mut self, end: &Event<'_>) -> Result<Option<(Event<'a>, usize)>, YamlError> {
        match self.next()? {
            Some((event, _)) if event == *end => Ok(None),
            Some(found) => Ok(Some(found)),
            None => Err(YamlError::at(self.first, "it ends in the middle")),
        }
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), YamlError> {
        self.left =
            self.left.checked_sub(nodes).ok_or_else(|| YamlError::at(line, format!("more than {MOST} values")))?;
        Ok(())
    }
}

/// Tags that are not of YAML itself, and `!` alone, mean text to `kubectl`; those of lists and mappings nothing.
fn kind(tag: &Tag, what: &What) -> Option<Kind> {
    if !matches!(what, What::Scalar { .. }) {
        return None;
    }
    Some(match tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() {
        Some("bool") => Kind::Switch,
        Some("int") => Kind::Integer,
        Some("float") => Kind::Float,
        Some("null") => Kind::Null,
        Some("binary") => Kind::Binary,
        _ => Kind::Text,
    })
}

struct Reading {
    repeated: Repeated,
    doubts: Vec<Doubt>,
}

impl Reading {
    fn value(&mut self, node: &Node) -> Result<Value, YamlError> {
        match &node.what {
            What::Scalar { text, is_plain } => self.scalar(node, text, *is_plain),
            What::Sequence(items) => {
                items.iter().map(|item| self.value(item)).collect::<Result<_, _>>().map(Value::Array)
            }
            What::Mapping(fields) => self.mapping(fields).map(Value::Object),
        }
    }

    fn scalar(&mut self, node: &Node, text: &str, is_plain: bool) -> Result<Value, YamlError> {
        let none = || YamlError::at(node.line, format!("{text} is not a JSON number"));
        let asked = match node.tag {
            None if is_plain => {
                let value = as_kubectl(text).ok_or_else(none)?;
                if as_core_schema(text).as_ref() != Some(&value) {
                    self.doubts.push(Doubt { line: node.line, word: text.to_owned() });
                }
                return Ok(value);
            }
            None | Some(Kind::Text) => return Ok(text.into()),
            Some(Kind::Binary) => {
                let packed: String = text.split_ascii_whitespace().collect();
                let bytes = BASE64_STANDARD.decode(packed).ok();
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                return text
                    .map(Value::from)
                    .ok_or_else(|| YamlError::at(node.line, "!!binary without base64 of text"));
            }
            Some(asked) => asked,
        };
        let value = as_kubectl(text).ok_or_else(none)?;
        let fits = match (asked, &value) {
            (Kind::Switch, value) => value.is_boolean(),
            (Kind::Null, value) => value.is_null(),
            (Kind::Integer, Value::Number(number)) => !number.is_f64() && !text.contains(['.', 'e', 'E']),
            (Kind::Float, value) => value.is_number(),
            _ => false,
        };
        if fits { Ok(value) } else { Err(YamlError::at(node.line, "the value is not what its tag says")) }
    }

    fn mapping(&mut self, fields: &[(Node, Node)]) -> Result<Map<String, Value>, YamlError> {
        let mut map = Map::new();
        let mut own = std::collections::HashSet::new();
        for (key, value) in fields {
            if is_merge(key) {
                self.merge(key, value, &own, &mut map)?;
                continue;
            }
            let name = self.key(key)?;
            let read = self.value(value)?;
            if !own.insert(name.clone()) && self.repeated == Repeated::Refused {
                return Err(YamlError::at(key.line, format!("duplicate key {name:?}")));
            }
            map.insert(name, read);
        }
        Ok(map)
    }

    /// `<<: *a` and `<<: [*a, *b]`, of which the first counts most. To Go's parser what comes later wins, a key of the mapping
    /// itself or not.
    fn merge(
        &mut self,
        key: &Node,
        value: &Node,
        own: &std::collections::HashSet<String>,
        map: &mut Map<String, Value>,
    ) -> Result<(), YamlError> {
        let sources: Vec<&Node> = match &value.what {
            What::Sequence(items) => items.iter().rev().collect(),
            _ => vec![value],
        };
        for source in sources {
            let What::Mapping(fields) = &source.what else {
                return Err(YamlError::at(key.line, "<< takes a mapping, or a list of them"));
            };
            for (name, value) in self.mapping(fields)? {
                if own.contains(&name) && map.get(&name) != Some(&value) {
                    self.doubts.push(Doubt { line: key.line, word: "<<".to_owned() });
                }
                map.insert(name, value);
            }
        }
        Ok(())
    }

    /// Keys are text in JSON, whatever they look like.
    fn key(&mut self, node: &Node) -> Result<String, YamlError> {
        let What::Scalar { text, .. } = &node.what else {
            return Err(YamlError::at(node.line, "a key must be text"));
        };
        let before = self.doubts.len();
        let name = match self.value(node)? {
            Value::String(name) => name,
            Value::Number(number) if number.is_f64() => text.clone(),
            Value::Null => return Err(YamlError::at(node.line, "a key is null")),
            other => other.to_string(),
        };
        self.doubts.truncate(before);
        if name != *text && node.tag.is_none() {
            self.doubts.push(Doubt { line: node.line, word: text.clone() });
        }
        Ok(name)
    }
}

fn is_merge(key: &Node) -> bool {
    key.tag.is_none() && matches!(&key.what, What::Scalar { text, is_plain: true } if text == "<<")
}
