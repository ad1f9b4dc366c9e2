FROM alpine AS Builder
RUN echo 1 > /one
FROM builder
RUN echo 2 > /two
