//! What a task's owner is told of an error.

use super::TaskError;

impl TaskError {
    /// The error as the task's owner may see it: the code, and our own sentence for it. The message is for operators: an
    /// operator may have written into it why a dead letter was discarded, which the owner must not learn, and what others
    /// answered may stand in it.
    #[must_use]
    pub fn for_owner(&self) -> Self {
        let message = match self.code.as_str() {
            "issuer-declined" => "The issuer declined to issue a card.",
            "issuer-unavailable" => "The issuer can't be reached at the moment.",
            "issuer-timeout" => "The issuer did not answer in time.",
            "issuer-refused-request" | "issuer-answered-garbage" => "The issuer could not process the request.",
            "sum-overflow" => "The sum does not fit into 64 bits with a sign.",
            "invalid-payload" => "The request can't be carried out as it was given.",
            "step-panicked" | "worker-stopped" | "unknown-kind" | "internal" => "Something went wrong on our side.",
            _ => "This did not work.",
        };
        Self { code: self.code.clone(), message: message.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_reads_nothing_that_others_wrote() {
        for code in ["issuer-declined", "issuer-unavailable", "internal", "a-code-from-a-later-version"] {
            let error = TaskError { code: code.into(), message: "503 (discarded: suspected mule account)".into() };
            let told = error.for_owner();
            assert_eq!(told.code, code);
            assert!(!told.message.is_empty() && !told.message.contains("mule") && !told.message.contains("503"));
        }
    }
}
