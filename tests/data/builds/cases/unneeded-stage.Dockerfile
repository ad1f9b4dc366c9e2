FROM alpine AS broken
RUN exit 1
FROM alpine
RUN echo fine > /fine
