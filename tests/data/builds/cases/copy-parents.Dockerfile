FROM alpine
COPY --parents dir/sub/deep.txt a.txt /p/
