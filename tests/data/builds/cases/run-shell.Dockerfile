FROM alpine
RUN echo one > /one && echo two > /two
