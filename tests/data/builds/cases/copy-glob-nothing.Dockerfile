FROM alpine
COPY a.txt nothing* /g/
