arg A=1
FROM scratch
RUN a
CMD ["x"]
