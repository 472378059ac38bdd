//! The kinds of reports that are told apart; a closed set, so that what strangers send cannot name columns or labels.

/// Every kind, as the Reporting API and its users name them; what is none of these is `other`.
const KNOWN: [&str; 12] = [
    CSP_VIOLATION,
    CSP_HASH,
    "deprecation",
    "intervention",
    CRASH,
    COOP,
    COEP,
    PERMISSIONS,
    "potential-permissions-policy-violation",
    "document-policy-violation",
    INTEGRITY,
    NETWORK_ERROR,
];

pub(super) const CSP_VIOLATION: &str = "csp-violation";
pub(super) const CSP_HASH: &str = "csp-hash";
pub(super) const CRASH: &str = "crash";
pub(super) const COOP: &str = "coop";
pub(super) const COEP: &str = "coep";
pub(super) const PERMISSIONS: &str = "permissions-policy-violation";
pub(super) const INTEGRITY: &str = "integrity-violation";
pub(super) const NETWORK_ERROR: &str = "network-error";
pub(super) const OTHER: &str = "other";

/// The kind a report says it is.
pub(super) fn known(sent: &str) -> &'static str {
    KNOWN.into_iter().find(|known| *known == sent).unwrap_or(OTHER)
}
