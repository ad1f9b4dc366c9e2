FROM alpine
COPY --parents dir/./sub/deep.txt /p/
