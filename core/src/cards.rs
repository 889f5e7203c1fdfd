//! Bank cards, as far as this platform may know them: never a full number (P7).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{CardId, TaskId};
use crate::time::Instant;

/// Whose rails a card runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Visa.
    Visa,
    /// Mastercard.
    Mastercard,
    /// American Express.
    Amex,
}

impl Network {
    /// Every network.
    pub const ALL: [Self; 3] = [Self::Visa, Self::Mastercard, Self::Amex];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Visa => "visa",
            Self::Mastercard => "mastercard",
            Self::Amex => "amex",
        }
    }
}

/// Whether a card can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CardStatus {
    /// It can. At most one per user.
    Active,
    /// It was replaced.
    Blocked,
}

/// A card as the wire shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Card {
    /// Its id.
    pub id: CardId,
    /// The last four digits.
    pub last4: String,
    /// The network.
    pub network: Network,
    /// Whether it can be used.
    pub status: CardStatus,
    /// When it was issued.
    pub issued_at: Instant,
    /// The card that it replaced, if the user had one.
    pub replaces: Option<CardId>,
    /// The task that issued it. One task issues at most one card: the ledger enforces it (P2).
    pub task: TaskId,
}

/// `POST /issue` to the issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueRequest {
    /// The task's id: asking twice gets one card.
    pub idempotency_key: TaskId,
    /// Whose card.
    pub user: crate::ids::UserId,
    /// Why.
    pub reason: crate::tasks::Reason,
}

/// What the issuer answers. Also the `result` of a replacement that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedCard {
    /// The issuer's name for the card.
    pub card_ref: String,
    /// The last four digits.
    pub last4: String,
    /// The network.
    pub network: Network,
}
