//! How this server and its peers are started, each on one CPU and set up for the same work.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::process::find_program;
use super::scratch::Scratch;

/// A server that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    /// This program, with switches of `demo-server serve` beside those that say what to serve and
    /// where.
    Ours(&'static [&'static str]),
    /// Somebody else's.
    Peer(&'static Peer),
}

/// Another server, as its Debian package installs it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its program, and the package of it.
    pub(super) program: &'static str,
    config: &'static str,
    /// How a file's bytes get to the socket: what stands in for `@BODY@` in the configuration.
    body: &'static str,
    /// The line that lets it stay root, where it is started by root.
    stay_root: &'static str,
    /// What stands before the configuration's path on the command line.
    config_flag: &'static [&'static str],
}

/// nginx with the switches of Debian's own configuration for a file's way to the socket.
pub(super) static NGINX: Peer = Peer {
    program: "nginx",
    config: include_str!("peers/nginx.conf"),
    body: "sendfile on; tcp_nopush on;",
    stay_root: "user root;",
    config_flag: &["-e", "stderr", "-c"],
};

/// nginx that reads a file and writes it together with the head: two calls instead of five, which
/// is cheaper for a small file.
pub(super) static NGINX_COPY: Peer = Peer { body: "sendfile off;", ..NGINX };

pub(super) static H2O: Peer = Peer {
    program: "h2o",
    config: include_str!("peers/h2o.conf"),
    body: "",
    stay_root: "user: root",
    config_flag: &["-c"],
};

pub(super) static LIGHTTPD: Peer = Peer {
    program: "lighttpd",
    config: include_str!("peers/lighttpd.conf"),
    body: "",
    stay_root: "",
    config_flag: &["-D", "-f"],
};

/// What a server is to serve, and where.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) root: &'a Path,
    pub(super) addr: SocketAddr,
    pub(super) cpu: usize,
}

impl Peer {
    /// Where it is installed, if it is.
    pub(super) fn path(&self) -> Option<PathBuf> {
        find_program(self.program)
    }

    /// The first line it prints about its version.
    pub(super) fn version(&self) -> Option<String> {
        let output = Command::new(self.path()?).arg("-v").output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().map(|line| line.trim().to_string())
    }

    /// Its command, with the configuration written to a directory of its own, `name`.
    fn command(&self, name: &str, place: &Place<'_>, scratch: &Scratch) -> anyhow::Result<Command> {
        let program = self
            .path()
            .with_context(|| format!("it is not installed: apt-get install {}", self.program))?;
        let dir =
            scratch.dir(name).with_context(|| format!("cannot make a directory for {name}"))?;
        let config = dir.join("server.conf");
        let text = self
            .config
            .replace("@USER@", if scratch.is_roots() { self.stay_root } else { "" })
            .replace("@BODY@", self.body)
            .replace("@DIR@", &dir.display().to_string())
            .replace("@ROOT@", &place.root.display().to_string())
            .replace("@PORT@", &place.addr.port().to_string())
            .replace("@CPU_MASK@", &format!("1{}", "0".repeat(place.cpu)));
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        let mut command = Command::new(program);
        command.args(self.config_flag).arg(config).current_dir(dir);
        Ok(command)
    }
}

impl Server {
    /// The command that serves `place` in the foreground.
    pub(super) fn command(
        &self,
        name: &str,
        place: &Place<'_>,
        scratch: &Scratch,
    ) -> anyhow::Result<Command> {
        match self {
            Server::Peer(peer) => peer.command(name, place, scratch),
            Server::Ours(switches) => {
                let program = std::env::current_exe()
                    .context("cannot find this program to start it again")?;
                let mut command = Command::new(program);
                command.arg("serve").arg("--root").arg(place.root);
                command.args([
                    "--http",
                    &place.addr.to_string(),
                    "--cores",
                    &place.cpu.to_string(),
                ]);
                command.args(*switches);
                Ok(command)
            }
        }
    }
}

/// Loopback addresses that nobody listens on, all different.
pub(super) fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held: Vec<TcpListener> = (0..count).map(bind).collect::<io::Result<_>>()?;
    held.iter().map(TcpListener::local_addr).collect()
}
