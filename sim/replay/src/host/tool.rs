//! `ip`, `tc` and `ethtool`.

use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::HostError;
use crate::plan::Tool;

/// Where administrators' programs are, which is not on everyone's path.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// A program by its whole path, or by its name alone for the search path to find.
pub fn path(tool: &str) -> PathBuf {
    let mut places = DIRECTORIES
        .iter()
        .map(|directory| Path::new(directory).join(tool));
    places
        .find(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from(tool))
}

/// A batch under way.
pub struct Running {
    child: Child,
    tool: &'static str,
    lines: Vec<String>,
}

/// How a batch is run.
#[derive(Clone, Copy, Default)]
pub struct How<'a> {
    /// In this namespace.
    pub namespace: Option<&'a str>,
    /// Where `tc` finds distributions.
    pub tables: Option<&'a Path>,
    /// Print counters, as JSON.
    pub counters: bool,
    /// Go on after a line that fails.
    pub force: bool,
}

/// Starts a batch.
pub fn start(tool: Tool, lines: &[String], how: How<'_>) -> Result<Running, HostError> {
    let tool = match tool {
        Tool::Ip => "ip",
        Tool::Tc => "tc",
    };
    let mut command = Command::new(path(tool));
    if let Some(namespace) = how.namespace {
        command.args(["-n", namespace]);
    }
    if how.counters {
        command.args(["-s", "-j"]);
    }
    if how.force {
        command.arg("-force");
    }
    if let Some(tables) = how.tables {
        command.env("TC_LIB_DIR", tables);
    }
    command.args(["-batch", "-"]).stdin(Stdio::piped());
    let mut child = spawn(&mut command, tool)?;
    let mut text = lines.join("\n");
    text.push('\n');
    let mut input = child.stdin.take().expect("piped");
    // A tool that stops at an error closes its end; the error then comes from `wait`.
    match input.write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(failed(tool, &error)),
        _ => {}
    }
    drop(input);
    let lines = lines.to_vec();
    Ok(Running { child, tool, lines })
}

impl Running {
    /// Waits for the end; returns what it printed.
    pub fn wait(self) -> Result<String, HostError> {
        let Running { child, tool, lines } = self;
        let output = child.wait_with_output().map_err(|error| failed(tool, &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let message = message(&output);
        // `Command failed -:3`: the number of the line.
        let number = message
            .rsplit_once("Command failed -:")
            .and_then(|(_, rest)| rest.trim().parse::<usize>().ok());
        let line = number.and_then(|number| lines.get(number.checked_sub(1)?));
        let command = line.map_or_else(|| format!("{tool} -batch"), |line| format!("{tool} {line}"));
        let reason = message
            .split("Command failed")
            .next()
            .unwrap_or_default()
            .trim()
            .replace('\n', " ");
        if reason.contains("qdisc kind is unknown") {
            return Err(HostError::NoDiscipline {
                command: line.cloned().unwrap_or_default(),
            });
        }
        let message = if reason.is_empty() {
            output.status.to_string()
        } else {
            reason
        };
        Err(HostError::Command { command, message })
    }
}

/// Runs a batch to its end.
pub fn batch(tool: Tool, lines: &[String], how: How<'_>) -> Result<String, HostError> {
    start(tool, lines, how)?.wait()
}

/// Runs a program in a namespace to its end; returns what it printed.
pub fn in_namespace(tool: &'static str, namespace: &str, arguments: &[&str]) -> Result<String, HostError> {
    let program = path(tool);
    if program.is_absolute() || tool == "ip" {
        let mut command = Command::new(path("ip"));
        command
            .args(["netns", "exec", namespace])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null());
        let output = spawn(&mut command, "ip")?.wait_with_output();
        let output = output.map_err(|error| failed(tool, &error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        return Err(HostError::Command {
            command: format!("ip netns exec {namespace} {tool} {}", arguments.join(" ")),
            message: message(&output).trim().replace('\n', " "),
        });
    }
    Err(missing(tool))
}

fn message(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    let text = if error.trim().is_empty() {
        String::from_utf8_lossy(&output.stdout)
    } else {
        error
    };
    text.into_owned()
}

/// Starts a program with its output kept. A Ctrl-C at the terminal is for the caller, who then removes everything, and
/// not for the tools that it needs for this.
fn spawn(command: &mut Command, tool: &'static str) -> Result<Child, HostError> {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => missing(tool),
        _ => failed(tool, &error),
    })
}

fn missing(tool: &str) -> HostError {
    let package = if tool == "ethtool" { "ethtool" } else { "iproute2" };
    let tool = tool.to_owned();
    HostError::MissingTool { tool, package }
}

fn failed(tool: &str, error: &std::io::Error) -> HostError {
    HostError::Command {
        command: tool.to_owned(),
        message: error.to_string(),
    }
}
