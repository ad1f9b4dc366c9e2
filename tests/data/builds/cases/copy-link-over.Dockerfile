FROM alpine
RUN mkdir /l && echo old > /l/a.txt && chmod 700 /l
COPY --link a.txt /l/
