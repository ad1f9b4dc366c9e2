FROM scratch
RUN a && \
# comment
  b
