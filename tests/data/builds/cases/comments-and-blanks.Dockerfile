
# leading comment

FROM alpine
  # indented comment
  RUN echo indented > /i
run echo lower > /l
