FROM alpine AS base
ENV A=1 B=2
ARG X=5
WORKDIR /w
USER 1:1
LABEL l=1
EXPOSE 80
CMD ["base"]
FROM base
RUN echo "$A $B [$X]" > /tmp/x; pwd > /tmp/pwd; id > /tmp/id
ENTRYPOINT ["/e"]
