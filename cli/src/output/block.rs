//! Lines for people, before they are written.

/// Lines. A text is always one of them, whatever it holds: only who builds a block makes a line of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block(Vec<String>);

impl<T: AsRef<str>> From<T> for Block {
    fn from(line: T) -> Self {
        Self(vec![line.as_ref().to_owned()])
    }
}

impl Block {
    /// Several lines.
    pub fn of<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Self {
        Self(lines.into_iter().map(|line| line.as_ref().to_owned()).collect())
    }

    /// One more line.
    pub fn push(&mut self, line: impl AsRef<str>) {
        self.0.push(line.as_ref().to_owned());
    }

    /// With the lines of another one below.
    #[must_use]
    pub fn above(mut self, below: impl Into<Self>) -> Self {
        self.0.extend(below.into().0);
        self
    }

    /// Each line behind something.
    #[must_use]
    pub fn behind(self, what: &str) -> Self {
        Self(self.0.into_iter().map(|line| format!("{what}{line}")).collect())
    }

    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}
