//! Serves the files of a folder, a thread for each connection: web FOLDER PORT

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, process, thread};

/// What is needed of a request.
struct Request {
    method: String,
    target: String,
    keep: bool,
}

/// The next request of a connection; none at its end, or when it makes no sense.
fn read_request(input: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let words: Vec<String> = line.split_whitespace().map(String::from).collect();
    let [method, target, version] = <[String; 3]>::try_from(words)
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut keep = version == "HTTP/1.1";
    loop {
        let mut header = String::new();
        if input.read_line(&mut header)? == 0 || header.trim().is_empty() {
            return Ok(Some(Request { method, target, keep }));
        }
        keep &= !header.trim().eq_ignore_ascii_case("connection: close");
    }
}

/// The file that a target names; none when the target would lead out of the folder.
fn locate(folder: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split('?').next().unwrap_or("/").trim_start_matches('/');
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    let index = if path.is_empty() || path.ends_with('/') { "index.html" } else { "" };
    Some(folder.join(format!("{path}{index}")))
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|name| name.to_str()) {
        Some("html") => "text/html",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        _ => "application/octet-stream",
    }
}

fn head(output: &mut impl Write, status: &str, kind: &str, size: u64, keep: bool) -> io::Result<()> {
    let close = if keep { "" } else { "Connection: close\r\n" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{close}\r\n"
    );
    output.write_all(head.as_bytes())
}

fn answer(output: &mut impl Write, folder: &Path, request: &Request) -> io::Result<()> {
    let whole = request.method == "GET";
    if !whole && request.method != "HEAD" {
        let text = "Method Not Allowed\n";
        head(output, "405 Method Not Allowed", "text/plain", text.len() as u64, request.keep)?;
        return output.write_all(text.as_bytes());
    }
    let found = locate(folder, &request.target).and_then(|path| {
        let file = File::open(&path).ok()?;
        let about = file.metadata().ok()?;
        about.is_file().then(|| (file, about.len(), kind(&path)))
    });
    let Some((mut file, size, kind)) = found else {
        let text = "Not Found\n";
        head(output, "404 Not Found", "text/plain", text.len() as u64, request.keep)?;
        return if whole { output.write_all(text.as_bytes()) } else { Ok(()) };
    };
    head(output, "200 OK", kind, size, request.keep)?;
    if whole {
        io::copy(&mut file, output)?;
    }
    Ok(())
}

fn serve(connection: TcpStream, folder: &Path) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut input = BufReader::new(connection.try_clone()?);
    let mut output = connection;
    while let Some(request) = read_request(&mut input)? {
        answer(&mut output, folder, &request)?;
        if !request.keep {
            break;
        }
    }
    Ok(())
}

fn main() {
    let words: Vec<String> = env::args().collect();
    let port = words.get(2).and_then(|text| text.parse().ok());
    let (Some(folder), Some(port)) = (words.get(1), port) else {
        eprintln!("usage: web FOLDER PORT");
        process::exit(2);
    };
    let folder: Arc<Path> = Arc::from(PathBuf::from(folder));
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).unwrap_or_else(|problem| {
        eprintln!("web: port {port}: {problem}");
        process::exit(1);
    });
    for connection in listener.incoming().flatten() {
        let folder = Arc::clone(&folder);
        // A client that goes away is no matter to the others.
        let begun = thread::Builder::new().spawn(move || drop(serve(connection, &folder)));
        if let Err(problem) = begun {
            eprintln!("web: no thread: {problem}");
        }
    }
}
