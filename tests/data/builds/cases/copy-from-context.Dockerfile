# flags: --build-context other=CONTEXT/dir
FROM alpine
COPY --from=other one.txt /one
