// The Node application of the samples: counts its visits in MariaDB or Redis, and answers with JSON on every usual port.
'use strict';
const fs = require('fs');
const http = require('http');
const net = require('net');
const os = require('os');

const PORTS = [80, 3000, 5000];

function password() {
  const given = process.env.DATABASE_PASSWORD || '/run/secrets/db-password';
  return given.startsWith('/') ? fs.readFileSync(given, 'utf8').trim() : given;
}

function countInMysql(done) {
  const mysql = require('mysql');
  const link = mysql.createConnection({
    host: process.env.DATABASE_HOST, user: process.env.DATABASE_USER, password: password(),
    database: process.env.DATABASE_DB, multipleStatements: true,
  });
  link.query(
    'CREATE TABLE IF NOT EXISTS visits (n INTEGER PRIMARY KEY, count INTEGER);' +
    'INSERT INTO visits VALUES (1, 1) ON DUPLICATE KEY UPDATE count = count + 1; SELECT count FROM visits',
    (error, rows) => { link.end(); done(error, error ? null : { mysql: rows[2][0].count }); });
}

// Redis' protocol: a command is an array of bulk strings, the answer to INCR is ":<number>".
function countInRedis(done) {
  const link = net.connect(6379, 'redis', () => link.write('*2\r\n$4\r\nINCR\r\n$6\r\nvisits\r\n'));
  link.once('error', done);
  link.once('data', (data) => { link.end(); done(null, { redis: Number(String(data).trim().slice(1)) }); });
}

const count = process.env.DATABASE_HOST ? countInMysql
  : process.env.NO_DATABASE ? (done) => done(null, {}) : countInRedis;

function answer(request, response) {
  count((error, visits) => {
    response.writeHead(error ? 503 : 200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(error ? { error: String(error) } : { host: os.hostname(), visits }) + '\n');
  });
}

process.on('SIGTERM', () => process.exit(0));
for (const port of PORTS) http.createServer(answer).listen(port, '0.0.0.0');
