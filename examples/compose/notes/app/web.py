"""Keeps notes in PostgreSQL and counts visits in Redis.

GET /         all notes, and how often this page was fetched
POST /        the body becomes a note
GET /health   200 when both stores answer
"""

import html
import http.server

import store


class Notes(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            with store.database() as connection, connection.cursor() as cursor:
                cursor.execute("select 1")
            store.cache().ping()
            self.answer(200, "ok\n")
            return
        visits = store.cache().incr("visits")
        with store.database() as connection, connection.cursor() as cursor:
            cursor.execute("select text from notes order by id")
            notes = [html.escape(text) for (text,) in cursor.fetchall()]
        items = "".join(f"<li>{note}</li>\n" for note in notes)
        self.answer(200, f"<h1>{len(notes)} notes</h1>\n<ul>\n{items}</ul>\n<p>visit {visits}</p>\n")

    def do_POST(self):
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with store.database() as connection, connection.cursor() as cursor:
            cursor.execute("insert into notes (text) values (%s)", (text,))
        self.answer(201, "kept\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


print("listening on 8000", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Notes).serve_forever()
