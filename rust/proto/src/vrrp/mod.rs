//! The Virtual Router Redundancy Protocol: configuration in, reports and actions out.

pub mod announce;
pub mod auth_hmac;
pub mod config;
pub mod deletions;
pub mod facts;
pub(crate) mod hearing;
pub mod if_name;
pub mod output;
pub mod phases;
pub mod report;
pub mod router;
pub mod stats;
pub mod track;
