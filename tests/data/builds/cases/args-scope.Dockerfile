ARG G=global
ARG H
FROM alpine
RUN echo "[$G]" > /before
ARG G
ARG H=own
RUN echo "[$G] [$H]" > /after
