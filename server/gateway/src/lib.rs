//! The gateway: who may look, who drives, and who gets which bytes. It never touches a pixel.
//!
//! `share` and `serve` build the parts and run them; `accept`, `tls` and `http` are the way in, `auth` the
//! door, `ws` one viewer's socket, `hub` the session. Of `serve`, `store` says what is wanted,
//! `runtime` starts desktops, each under a process of its own (`supervise`), and `manager` brings the
//! two together; by `session_api` a desktop's own programs ask for apps.

#![forbid(unsafe_code)]

pub mod accept;
pub mod admin;
pub mod agent;
pub mod auth;
pub mod backup;
pub mod broker;
pub mod catalogues;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod front;
mod ground;
pub mod healthcheck;
pub mod host;
pub mod http;
pub mod hub;
pub mod label;
pub mod listen;
pub mod logs;
pub mod manager;
pub mod preview;
pub mod recipe;
pub mod runtime;
pub mod serve;
pub mod session_api;
pub mod share;
pub mod signals;
pub mod snapshots;
pub mod store;
pub mod supervise;
pub mod tcp;
pub mod telemetry;
pub mod template;
pub mod tls;
pub mod ws;
