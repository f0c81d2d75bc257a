//! The gateway: who may look, who drives, and who gets which bytes. It never touches a pixel.
//!
//! `share` builds the parts and runs them; `accept` and `http` are the way in, `auth` the door, `ws`
//! one viewer's socket, `hub` the session. `runtime` starts desktops, each under a process of its own
//! (`supervise`).

#![forbid(unsafe_code)]

pub mod accept;
pub mod agent;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod healthcheck;
pub mod http;
pub mod hub;
pub mod runtime;
pub mod share;
pub mod store;
pub mod supervise;
pub mod tcp;
pub mod telemetry;
pub mod ws;
