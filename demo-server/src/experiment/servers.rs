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
    /// This program, with switches of `demo-server serve` beside those that say what to serve and where.
    Ours(&'static [&'static str]),
    /// Somebody else's.
    Peer(&'static Peer),
}

/// Another server, which the Debian package of that name installs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) name: &'static str,
    config: &'static str,
    /// The line that lets it stay root, where it is started by root.
    stay_root: &'static str,
    /// What stands before the configuration's path on the command line.
    config_flag: &'static [&'static str],
    /// What asks for its version.
    version_flag: &'static str,
}

pub(super) static NGINX: Peer = Peer {
    name: "nginx",
    config: include_str!("peers/nginx.conf"),
    stay_root: "user root;",
    config_flag: &["-e", "stderr", "-c"],
    version_flag: "-v",
};

pub(super) static H2O: Peer = Peer {
    name: "h2o",
    config: include_str!("peers/h2o.conf"),
    stay_root: "user: root",
    config_flag: &["-c"],
    version_flag: "-v",
};

pub(super) static LIGHTTPD: Peer = Peer {
    name: "lighttpd",
    config: include_str!("peers/lighttpd.conf"),
    stay_root: "",
    config_flag: &["-D", "-f"],
    version_flag: "-v",
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
    pub(super) fn program(&self) -> Option<PathBuf> {
        find_program(self.name)
    }

    /// The first line it prints about its version.
    pub(super) fn version(&self) -> Option<String> {
        let output = Command::new(self.program()?).arg(self.version_flag).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).lines().next().map(|line| line.trim().to_string())
    }

    fn command(&self, place: &Place<'_>, scratch: &Scratch) -> anyhow::Result<Command> {
        let program = self
            .program()
            .with_context(|| format!("{0} is not installed: apt-get install {0}", self.name))?;
        let dir = scratch
            .dir(self.name)
            .with_context(|| format!("cannot make a directory for {}", self.name))?;
        let config = dir.join(format!("{}.conf", self.name));
        let text = self
            .config
            .replace("@USER@", if scratch.is_roots() { self.stay_root } else { "" })
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
    pub(super) fn command(&self, place: &Place<'_>, scratch: &Scratch) -> anyhow::Result<Command> {
        match self {
            Server::Peer(peer) => peer.command(place, scratch),
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
