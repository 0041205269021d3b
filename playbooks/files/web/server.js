// Serves the files of a folder: node server.js FOLDER PORT
'use strict';
const fs = require('fs/promises');
const http = require('http');
const path = require('path');
const { pipeline } = require('stream/promises');

const [folder, port] = process.argv.slice(2);
const types = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' };

function say(answer, status) {
    answer.writeHead(status, { 'Content-Type': 'text/plain' });
    answer.end(http.STATUS_CODES[status] + '\n');
}

async function serve(request, answer) {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
        return say(answer, 405);
    }
    // What URL makes of a path has no .. left, nor has what it decodes to after join.
    const wanted = decodeURIComponent(new URL(request.url, 'http://guest').pathname);
    const name = path.join('/', wanted, wanted.endsWith('/') ? 'index.html' : '');
    const file = await fs.open(path.join(folder, name));
    try {
        const { size } = await file.stat();
        const type = types[path.extname(name)] || 'application/octet-stream';
        answer.writeHead(200, { 'Content-Type': type, 'Content-Length': size });
        if (request.method === 'HEAD') {
            return answer.end();
        }
        await pipeline(file.createReadStream({ autoClose: false }), answer);
    } finally {
        await file.close();
    }
}

const server = http.createServer((request, answer) => {
    serve(request, answer).catch((error) => {
        if (answer.headersSent) {
            return answer.destroy();
        }
        say(answer, error.code === 'ENOENT' || error.code === 'ENOTDIR' ? 404 : 400);
    });
});
server.listen({ port: Number(port), backlog: 1024 });
process.on('SIGTERM', () => process.exit(0));
