//! HTTP/1.1 as pure code: bytes in, values out. No socket, no clock, no heap on the way of a request.
//!
//! | module | the question it answers |
//! |---|---|
//! | [`parse`] | is this a whole request head, a part of one, or to be refused? |
//! | [`head`] | what did the head ask for? |
//! | [`target`] | which path and which host does the request line name? |
//! | [`body`] | where does the request's body end? |
//! | [`path`] | which file below the root does a path name? |
//! | [`conditional`] | has the client this version already? |
//! | [`range`] | which bytes of the file does it want? |
//! | [`mime`] | which type does a file name promise? |
//! | [`date`] | how is a second written? |
//! | [`status`] | which answers are there? |
//! | [`page`] | what does a person read who gets an error? |
//! | [`reply`] | which bytes are the answer's head? |

pub mod body;
pub mod conditional;
pub mod date;
pub mod head;
pub mod mime;
pub mod page;
pub mod parse;
pub mod path;
pub mod range;
pub mod reply;
pub mod status;
pub mod target;
