//! The text of a kustomization, changed in its `images` alone.

use serde_json::{Value, json};

use super::said;
use crate::image::Image;

/// A line and what is wrong with it.
type Wrong = (usize, String);

/// The text with references for images.
pub(super) fn with_images(text: &str, images: &[(String, Image)]) -> Result<String, Wrong> {
    let before = said(text)?;
    if before.as_object().is_none() {
        return Err((1, "this is not a kustomization".to_owned()));
    }
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    for (name, image) in images {
        put(&mut lines, name, image)?;
    }
    let mut after: String = lines.join("\n");
    if !after.is_empty() {
        after.push('\n');
    }
    let wanted = expected(before, images);
    if said(&after).as_ref() != Ok(&wanted) {
        return Err((
            1,
            "its images can't be edited in this form; write them as a list of `- name: …`, one field per line"
                .to_owned(),
        ));
    }
    // Only what the last line ends with would be different.
    Ok(if after.trim_end() == text.trim_end() { text.to_owned() } else { after })
}

/// What it must say afterwards.
fn expected(mut kustomization: Value, images: &[(String, Image)]) -> Value {
    let mut list = kustomization["images"].as_array().cloned().unwrap_or_default();
    for (name, image) in images {
        let known = list.iter().position(|known| known["name"] == name.as_str());
        let at = known.unwrap_or_else(|| {
            list.push(json!({"name": name}));
            list.len() - 1
        });
        if let Some(entry) = list[at].as_object_mut() {
            entry.retain(|field, _| !CHANGED.contains(&field.as_str()));
            entry.extend(fields(image).into_iter().map(|(field, value)| (field.to_owned(), value.into())));
        }
    }
    if !list.is_empty() {
        kustomization["images"] = list.into();
    }
    kustomization
}

const CHANGED: [&str; 3] = ["newName", "newTag", "digest"];

fn fields(image: &Image) -> Vec<(&'static str, String)> {
    let mut fields = vec![("newName", image.name.clone())];
    fields.extend(image.tag.clone().map(|tag| ("newTag", tag)));
    fields.extend(image.digest.clone().map(|digest| ("digest", digest)));
    fields
}

fn put(lines: &mut Vec<String>, name: &str, image: &Image) -> Result<(), Wrong> {
    let Some(head) = lines.iter().position(|line| line.starts_with("images:")) else {
        lines.push("images:".to_owned());
        lines.extend(entry(2, name, image));
        return Ok(());
    };
    let rest = lines[head]["images:".len()..].split(" #").next().unwrap_or_default().trim();
    match rest {
        "" => {}
        "[]" | "null" | "~" => lines[head] = "images:".to_owned(),
        _ => return Err((head + 1, "images is written in one line; write it as a list of `- name: …`".to_owned())),
    }
    // The next line that begins at the edge ends it, unless it is an item or a remark.
    let ends = |line: &String| !line.is_empty() && !line.starts_with([' ', '-', '#']);
    let mut end = lines[head + 1..].iter().position(ends).map_or(lines.len(), |at| head + 1 + at);
    // Remarks and empty lines before what follows belong to that.
    while end > head + 1 && (lines[end - 1].trim().is_empty() || lines[end - 1].starts_with('#')) {
        end -= 1;
    }
    let items: Vec<usize> = (head + 1..end).filter(|at| lines[*at].trim_start().starts_with("- ")).collect();
    let indent = items.first().map_or(2, |first| lines[*first].len() - lines[*first].trim_start().len());
    for (index, begin) in items.iter().enumerate() {
        let next = items.get(index + 1).copied().unwrap_or(end);
        if is_named(&lines[*begin..next], name) {
            return change(lines, *begin, next, indent, image);
        }
    }
    let new = entry(indent, name, image);
    lines.splice(end..end, new);
    Ok(())
}

/// The field of a line, and its value without quotes.
fn field(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start().trim_start_matches("- ").trim_start();
    let (name, value) = line.split_once(':')?;
    let value = value.split(" #").next().unwrap_or_default().trim();
    Some((name.trim(), value.trim_matches(['"', '\''])))
}

fn is_named(item: &[String], name: &str) -> bool {
    item.iter().any(|line| field(line) == Some(("name", name)))
}

/// Fields that are there are changed in their places; others follow the last line of the item that says something.
fn change(lines: &mut Vec<String>, begin: usize, next: usize, indent: usize, image: &Image) -> Result<(), Wrong> {
    let wanted = fields(image);
    let mut kept: Vec<String> = Vec::new();
    let mut missing = wanted.clone();
    for line in &lines[begin..next] {
        let Some((name, value)) = field(line).filter(|(name, _)| CHANGED.contains(name)) else {
            kept.push(line.clone());
            continue;
        };
        if line.trim_start().starts_with("- ") {
            return Err((
                begin + 1,
                "an entry of images does not begin with its name; write `- name: …` first".to_owned(),
            ));
        }
        if let Some(at) = missing.iter().position(|(field, _)| *field == name) {
            let (field, new) = missing.remove(at);
            kept.push(if new == value { line.clone() } else { written(indent, field, &new) });
        }
    }
    let end = kept.iter().rposition(|line| field(line).is_some() && !line.trim_start().starts_with('#'));
    let end = end.map_or(kept.len(), |at| at + 1);
    kept.splice(end..end, missing.iter().map(|(field, new)| written(indent, field, new)));
    lines.splice(begin..next, kept);
    Ok(())
}

fn entry(indent: usize, name: &str, image: &Image) -> Vec<String> {
    let mut lines = vec![format!("{:indent$}- name: {name}", "")];
    lines.extend(fields(image).iter().map(|(field, value)| written(indent, field, value)));
    lines
}

/// A tag of digits would be a number.
fn written(indent: usize, field: &str, value: &str) -> String {
    let quote = if field == "newTag" { "\"" } else { "" };
    format!("{:indent$}  {field}: {quote}{value}{quote}", "")
}
