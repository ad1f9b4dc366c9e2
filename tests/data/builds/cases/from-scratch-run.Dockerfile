FROM alpine AS b
FROM scratch
COPY --from=b /bin /bin
RUN echo hi > /x; echo $PATH > /path
