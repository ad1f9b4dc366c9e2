FROM alpine
COPY d*r /globbed/
