mod document;
mod exit;
mod limit;
mod promises;
mod search;
mod steps;
mod validity;
mod why;
