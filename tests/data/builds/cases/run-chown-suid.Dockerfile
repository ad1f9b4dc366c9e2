FROM alpine
RUN echo s > /suid && chown 10:20 /suid && chmod 6755 /suid
RUN chown 11 /suid
