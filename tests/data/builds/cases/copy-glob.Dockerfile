FROM alpine
COPY many/f?.log /g/
COPY many/f1*.log /h/
