//! The server, tested from outside and in its pure parts.

mod cli;
mod dispatch;
mod experiment;
mod http_body;
mod http_conditional;
mod http_parse;
mod http_parse_any;
mod http_path;
mod http_range;
mod http_reply;
mod http_site;
mod http_target;
mod interval;
mod leaks;
mod load;
mod observe;
mod refuse;
mod serve;
mod steal;
mod support;
mod tidy;
mod worker;
