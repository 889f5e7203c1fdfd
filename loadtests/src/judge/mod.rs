//! What follows from the figures: a pure function over the document.
