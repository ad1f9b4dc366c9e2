FROM alpine
RUN echo old > /f && chmod 600 /f && chown 9:9 /f
COPY a.txt /f
